#include "engine/forward/drafter_weights.h"

#include <array>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "engine/forward/tensor_loader.h"

namespace preflight::forward {
namespace {

constexpr const char* kHead = "token_embd.weight";
constexpr const char* kPreProjection = "nextn.pre_projection.weight";
constexpr const char* kPostProjection = "nextn.post_projection.weight";

}  // namespace

Result<std::uint64_t> drafter_weights_bytes(const model::DrafterFile& file,
                                            const vk::DeviceDescription& device,
                                            std::uint32_t lanes) {
  std::uint64_t bytes = 0;
  const auto add = [&](const std::string& name, const std::string& partner_name) -> Result<void> {
    const model::Tensor* tensor = file.find(name);
    const model::Tensor* partner = file.find(partner_name);
    PREFLIGHT_ASSERT(tensor != nullptr && partner != nullptr);
    PREFLIGHT_TRY(const WeightShape shape,
                  WeightShape::of(*tensor, {lanes, InterleaveUnit::kQuad},
                                  tensor == partner ? kernel_type(tensor->type)
                                                    : common_type(*tensor, *partner)));
    bytes += shape.device_bytes(device);
    return {};
  };
  for (const char* name : {kHead, kPreProjection, kPostProjection})
    PREFLIGHT_TRY_VOID(add(name, name));
  const model::ModelConfig& config = file.config().layers;
  std::uint64_t floats = config.model_dim;
  for (std::uint32_t ix = 0; ix < config.n_layers; ix++) {
    const std::string prefix = fmt::format("blk.{}.", ix);
    for (const char* name : {"attn_q.weight", "attn_output.weight", "ffn_down.weight"})
      PREFLIGHT_TRY_VOID(add(prefix + name, prefix + name));
    PREFLIGHT_TRY_VOID(add(prefix + "ffn_gate.weight", prefix + "ffn_up.weight"));
    PREFLIGHT_TRY_VOID(add(prefix + "ffn_up.weight", prefix + "ffn_gate.weight"));
    floats +=
        std::uint64_t{4} * config.model_dim + config.attention(config.layer_kinds[ix]).head_dim;
  }
  return bytes + floats * sizeof(float);
}

Result<DrafterWeights> load_drafter_weights(vk::Device& device, vk::Uploader& uploader,
                                            const model::DrafterFile& file, Interleave interleave) {
  const TensorLoader loader(
      device, uploader, [&](std::string_view name) { return file.find(name); }, interleave);
  PREFLIGHT_TRY(WeightMatrix head, loader.matrix(kHead));
  PREFLIGHT_TRY(WeightMatrix pre_projection, loader.matrix(kPreProjection));
  PREFLIGHT_TRY(WeightMatrix post_projection, loader.matrix(kPostProjection));
  PREFLIGHT_TRY(vk::Buffer output_norm, loader.vector("output_norm.weight"));
  std::vector<CommonLayerWeights> layers;
  for (std::uint32_t ix = 0; ix < file.config().layers.n_layers; ix++) {
    constexpr std::array<std::string_view, 1> kProjected = {"q"};  // keys are the model's
    PREFLIGHT_TRY(CommonLayerWeights layer, load_common_layer(loader, ix, kProjected));
    layers.push_back(std::move(layer));
  }
  return DrafterWeights{.head = std::move(head),
                        .pre_projection = std::move(pre_projection),
                        .post_projection = std::move(post_projection),
                        .output_norm = std::move(output_norm),
                        .layers = std::move(layers)};
}

}  // namespace preflight::forward
