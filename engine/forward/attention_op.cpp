#include "engine/forward/attention_op.h"

#include <string>

#include <fmt/format.h>

namespace preflight::forward {
namespace {

/// Keys that a lane takes at once: a page must keep all lanes busy.
std::uint32_t keys_per_lane(std::uint32_t lanes) {
  return 4 * lanes <= params::kPageTokens ? 4 : 1;
}

Result<RowOp> make_tile(Kernels& kernels, const AttentionLayout& layout,
                        std::span<const vk::Slice> slices, const params::AttentionParams& push,
                        std::uint32_t n_heads, std::uint32_t n_rows) {
  const std::uint32_t lanes = kernels.options().tuning.attention_lanes;
  PREFLIGHT_TRY(
      const vk::Pipeline* pipeline,
      kernels.pipeline(fmt::format("attention_q{}_k{}{}{}", n_heads * n_rows, keys_per_lane(lanes),
                                   kernels.kv_suffix(), kernels.act_suffix()),
                       params::kAttentionBindings, sizeof(params::AttentionParams),
                       {lanes, layout.head_dim, layout.key_dim, layout.folded ? 1u : 0u, n_heads}));
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
  return RowOp::of(pipeline, bindings, push, push.n_heads / n_heads);
}

}  // namespace

Result<AttentionOp> make_attention(Kernels& kernels, const AttentionLayout& layout,
                                   std::span<const vk::Slice> slices,
                                   const params::AttentionParams& push) {
  const std::uint32_t group = push.n_heads / push.n_kv_heads;  // query heads of one KV head
  const std::uint32_t pair = group % 2 == 0 ? 2 : 1;
  AttentionOp op;
  PREFLIGHT_TRY(op.narrow,
                make_tile(kernels, layout, slices, push, group % 4 == 0 ? 4 : pair, /*n_rows=*/1));
  PREFLIGHT_TRY(op.wide,
                make_tile(kernels, layout, slices, push, pair, params::kAttentionTileRows));
  return op;
}

}  // namespace preflight::forward
