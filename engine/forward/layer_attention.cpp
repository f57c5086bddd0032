#include "engine/forward/layer_attention.h"

#include <array>

#include "engine/forward/kv_view.h"
#include "shaders/params/attention.h"

namespace preflight::forward {

Result<LayerAttention> LayerAttention::create(Kernels& kernels, const ArenaPlan& plan,
                                              const Arena& arena, model::LayerKind kind,
                                              const LayerAttentionBuffers& buffers,
                                              const LayerAttentionSizes& sizes) {
  const bool full = kind == model::LayerKind::kFull;
  const AttentionLayout& layout = full ? plan.full : plan.sliding;
  const LayerPages& pages = buffers.pages;
  LayerAttention ops;

  const std::array<vk::Slice, params::kAttentionInputBindings> input_slices = {
      vk::whole(buffers.qkv),
      vk::whole(buffers.q_norm),
      vk::whole(buffers.k_norm),
      vk::whole(arena.row_infos),
      vk::whole(full ? arena.full_rope : arena.sliding_rope),
      vk::whole(arena.page_tables),
      vk::whole(pages.keys),
      vk::whole(pages.values),
      vk::whole(buffers.q)};
  const KvView view = kv_view(kernels, input_slices, params::kAttentionInputBindKeys,
                              params::kAttentionInputBindValues);
  PREFLIGHT_TRY(const vk::Pipeline* input,
                kernels.pipeline(
                    "attention_input" + kernels.kv_suffix() + view.suffix, view.n_bindings(),
                    sizeof(params::AttentionInputParams),
                    view.constants({kernels.options().tuning.attention_lanes, layout.head_dim,
                                    layout.key_dim, layout.folded ? 1u : 0u, layout.n_rotated})));
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*input, view.slices));
  // A grid of the query heads alone stores nothing.
  ops.input = RowOp::of(input, bindings,
                        params::AttentionInputParams{.n_heads = sizes.n_heads,
                                                     .n_kv_heads = layout.n_kv_heads,
                                                     .qkv_stride = sizes.qkv_stride,
                                                     .k_offset = layout.k_offset,
                                                     .v_offset = layout.v_offset,
                                                     .full = full ? 1u : 0u,
                                                     .epsilon = sizes.epsilon},
                        sizes.n_heads + (sizes.stores ? 2 * layout.n_kv_heads : 0));

  const std::array<vk::Slice, params::kAttentionTileBindings> slices = {
      vk::whole(buffers.q),   vk::whole(arena.row_infos), vk::whole(arena.page_tables),
      vk::whole(pages.keys),  vk::whole(pages.values),    vk::whole(buffers.attended),
      vk::whole(arena.ranges)};
  PREFLIGHT_TRY(ops.attention,
                make_attention(kernels, layout, slices,
                               {.n_heads = sizes.n_heads,
                                .n_kv_heads = layout.n_kv_heads,
                                .o_stride_vec4 = padded(sizes.n_heads * layout.head_dim) / 4,
                                .window = full ? 0 : sizes.window},
                               plan.context_tokens));
  return ops;
}

void LayerAttention::record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const {
  input.record(list, n_rows);  // K and V of all rows stand before any is read
  list.barrier();
  attention.record(list, n_rows, phase);
}

}  // namespace preflight::forward
