#include "engine/forward/embed_op.h"

#include <array>

#include <fmt/format.h>

#include "shaders/params/embed.h"

namespace preflight::forward {

std::string embed_shader(const WeightShape& shape) {
  return fmt::format("embed_{}{}", shader_name(shape.type),
                     shape.unit == InterleaveUnit::kWord ? "_words" : "");
}

Result<EmbedOp> make_embed(Kernels& kernels, const WeightMatrix& table,
                           const model::ModelConfig& config, const Arena& arena,
                           const vk::Buffer& rows) {
  const WeightShape& shape = table.shape;
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline(embed_shader(shape), params::kEmbedBindings,
                                 sizeof(params::EmbedParams), {shape.lanes}));
  EmbedOp op;
  for (const WeightPart& part : table.parts) {
    const std::array<vk::Slice, params::kEmbedBindings> slices = {
        part.quants,           part.scales,    part.high, vk::whole(arena.row_infos),
        vk::whole(arena.soft), vk::whole(rows)};
    PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
    op.parts.push_back(RowOp::of(pipeline, bindings,
                                 params::EmbedParams{.n_blocks = shape.n_blocks,
                                                     .model_dim = config.model_dim,
                                                     .h_stride = padded(config.model_dim),
                                                     .first_token = part.first_row,
                                                     .n_tokens = part.n_rows,
                                                     .scale = config.embedding_scale}));
  }
  return op;
}

void EmbedOp::record(vk::CommandList& list, std::uint32_t n_rows) const {
  for (const RowOp& part : parts) part.record(list, n_rows);
}

}  // namespace preflight::forward
