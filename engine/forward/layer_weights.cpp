#include "engine/forward/layer_weights.h"

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace preflight::forward {

Result<CommonLayerWeights> load_common_layer(const TensorLoader& loader, std::uint32_t ix,
                                             std::span<const std::string_view> projected) {
  const std::string prefix = fmt::format("blk.{}.", ix);
  PREFLIGHT_TRY(vk::Buffer attn_norm, loader.vector(prefix + "attn_norm.weight"));
  PREFLIGHT_TRY(vk::Buffer post_attention_norm,
                loader.vector(prefix + "post_attention_norm.weight"));
  PREFLIGHT_TRY(vk::Buffer ffn_norm, loader.vector(prefix + "ffn_norm.weight"));
  PREFLIGHT_TRY(vk::Buffer post_ffn_norm, loader.vector(prefix + "post_ffw_norm.weight"));
  PREFLIGHT_TRY(vk::Buffer q_norm, loader.vector(prefix + "attn_q_norm.weight"));
  float scalar = 1.0f;
  if (loader.has(prefix + "layer_output_scale.weight")) {
    PREFLIGHT_TRY(const std::vector<float> value,
                  loader.values(prefix + "layer_output_scale.weight"));
    scalar = value.at(0);
  }
  std::vector<std::string> names;
  for (const std::string_view of : projected)
    names.push_back(fmt::format("{}attn_{}.weight", prefix, of));
  PREFLIGHT_TRY(std::vector<WeightMatrix> projections, loader.stacks(names));
  PREFLIGHT_TRY(WeightMatrix o, loader.matrix(prefix + "attn_output.weight"));
  PREFLIGHT_TRY(auto gate_up,
                loader.matrices(prefix + "ffn_gate.weight", prefix + "ffn_up.weight"));
  PREFLIGHT_TRY(WeightMatrix down, loader.matrix(prefix + "ffn_down.weight"));
  return CommonLayerWeights{.attn_norm = std::move(attn_norm),
                            .post_attention_norm = std::move(post_attention_norm),
                            .ffn_norm = std::move(ffn_norm),
                            .post_ffn_norm = std::move(post_ffn_norm),
                            .q_norm = std::move(q_norm),
                            .layer_scalar = scalar,
                            .projections = std::move(projections),
                            .o = std::move(o),
                            .gate = std::move(gate_up.first),
                            .up = std::move(gate_up.second),
                            .down = std::move(down)};
}

}  // namespace preflight::forward
