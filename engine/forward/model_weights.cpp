#include "engine/forward/model_weights.h"

#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

#include "engine/forward/tensor_loader.h"
#include "engine/model/tensor.h"

namespace preflight::forward {
namespace {

Result<LayerWeights> load_layer(const TensorLoader& loader, const model::ModelConfig& config,
                                std::uint32_t ix) {
  const std::string prefix = fmt::format("blk.{}.", ix);
  std::vector<std::string_view> projected = {"q", "k"};
  const bool value_is_key =
      config.layer_kinds[ix] == model::LayerKind::kFull && config.full_value_is_key;
  if (!value_is_key) projected.push_back("v");
  PREFLIGHT_TRY(CommonLayerWeights common, load_common_layer(loader, ix, projected));
  PREFLIGHT_TRY(vk::Buffer k_norm, loader.vector(prefix + "attn_k_norm.weight"));
  return LayerWeights{{std::move(common)}, std::move(k_norm)};
}

Result<VisionWeights> load_vision(const TensorLoader& loader, const model::ModelFile& file) {
  PREFLIGHT_TRY(vk::Buffer norm1_weight, loader.vector("v.patch_norm.1.weight"));
  PREFLIGHT_TRY(vk::Buffer norm1_bias, loader.vector("v.patch_norm.1.bias"));
  PREFLIGHT_TRY(WeightMatrix dense, loader.matrix("v.patch_embd.weight"));
  PREFLIGHT_TRY(vk::Buffer dense_bias, loader.vector("v.patch_embd.bias"));
  PREFLIGHT_TRY(vk::Buffer norm2_weight, loader.vector("v.patch_norm.2.weight"));
  PREFLIGHT_TRY(vk::Buffer norm2_bias, loader.vector("v.patch_norm.2.bias"));
  PREFLIGHT_TRY(vk::Buffer norm3_weight, loader.vector("v.patch_norm.3.weight"));
  PREFLIGHT_TRY(vk::Buffer norm3_bias, loader.vector("v.patch_norm.3.bias"));
  PREFLIGHT_TRY(vk::Buffer positions, loader.vector("v.position_embd.weight"));
  PREFLIGHT_TRY(WeightMatrix projection, loader.matrix("mm.input_projection.weight"));
  return VisionWeights{.norm1_weight = std::move(norm1_weight),
                       .norm1_bias = std::move(norm1_bias),
                       .dense = std::move(dense),
                       .dense_bias = std::move(dense_bias),
                       .norm2_weight = std::move(norm2_weight),
                       .norm2_bias = std::move(norm2_bias),
                       .norm3_weight = std::move(norm3_weight),
                       .norm3_bias = std::move(norm3_bias),
                       .positions = std::move(positions),
                       .projection = std::move(projection),
                       .channel_major = file.vision_is_channel_major(),
                       .positions_axis_major = file.positions_are_axis_major()};
}

/// The tensors that load as matrices, with the type they take; all others are float32 vectors.
struct Planned {
  std::string name;
  std::string gated_with;  ///< shares its kernel with this tensor
};

std::vector<Planned> planned_matrices(const model::ModelFile& file) {
  std::vector<Planned> names = {{"token_embd.weight", ""}, {"output.weight", ""}};
  for (std::uint32_t ix = 0; ix < file.config().n_layers; ix++) {
    const std::string prefix = fmt::format("blk.{}.", ix);
    for (const char* name : {"attn_q.weight", "attn_k.weight", "attn_v.weight",
                             "attn_output.weight", "ffn_down.weight"})
      names.push_back({prefix + name, ""});
    names.push_back({prefix + "ffn_gate.weight", prefix + "ffn_up.weight"});
    names.push_back({prefix + "ffn_up.weight", prefix + "ffn_gate.weight"});
  }
  for (const char* name :
       {"v.patch_embd.weight", "mm.input_projection.weight", "mm.a.input_projection.weight"})
    names.push_back({name, ""});
  return names;
}

}  // namespace

Result<std::uint64_t> weights_bytes(const model::ModelFile& file,
                                    const vk::DeviceDescription& device, std::uint32_t lanes) {
  const model::ModelConfig& config = file.config();
  std::uint64_t bytes = 0;
  for (const Planned& planned : planned_matrices(file)) {
    const model::Tensor* tensor = file.find(planned.name);
    if (tensor == nullptr) continue;
    const model::Tensor* partner =
        planned.gated_with.empty() ? nullptr : file.find(planned.gated_with);
    const KernelType type =
        partner != nullptr ? common_type(*tensor, *partner) : kernel_type(tensor->type);
    PREFLIGHT_TRY(const WeightShape shape,
                  WeightShape::of(*tensor, {lanes, InterleaveUnit::kQuad}, type));
    bytes += shape.device_bytes(device);
  }
  // Norms and the vision embedder's vectors and position table, all float32.
  std::uint64_t floats = config.model_dim;
  for (const model::LayerKind kind : config.layer_kinds)
    floats += std::uint64_t{4} * config.model_dim + 2 * config.attention(kind).head_dim;
  if (config.has_vision())
    floats += 2 * model::kPatchValues + std::uint64_t{5} * config.vision_embed_dim +
              std::uint64_t{2} * config.vision_positions * config.vision_embed_dim;
  return bytes + floats * sizeof(float);
}

Result<ModelWeights> load_weights(vk::Device& device, vk::Uploader& uploader,
                                  const model::ModelFile& file, Interleave interleave) {
  const TensorLoader loader(
      device, uploader, [&](std::string_view name) { return file.find(name); }, interleave);
  PREFLIGHT_TRY(WeightMatrix embedding, loader.matrix("token_embd.weight"));
  std::optional<WeightMatrix> head;
  if (loader.has("output.weight")) {
    PREFLIGHT_TRY(head, loader.matrix("output.weight"));
  }
  PREFLIGHT_TRY(vk::Buffer output_norm, loader.vector("output_norm.weight"));
  std::vector<LayerWeights> layers;
  layers.reserve(file.config().n_layers);
  for (std::uint32_t ix = 0; ix < file.config().n_layers; ix++) {
    PREFLIGHT_TRY(LayerWeights layer, load_layer(loader, file.config(), ix));
    layers.push_back(std::move(layer));
  }
  std::optional<VisionWeights> vision;
  if (file.config().has_vision()) {
    PREFLIGHT_TRY(vision, load_vision(loader, file));
  }
  std::optional<WeightMatrix> audio;
  if (file.config().has_audio()) {
    PREFLIGHT_TRY(audio, loader.matrix("mm.a.input_projection.weight"));
  }
  return ModelWeights{.embedding = std::move(embedding),
                      .head = std::move(head),
                      .output_norm = std::move(output_norm),
                      .layers = std::move(layers),
                      .vision = std::move(vision),
                      .audio = std::move(audio)};
}

}  // namespace preflight::forward
