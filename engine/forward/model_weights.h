#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/forward/layer_weights.h"
#include "engine/forward/weight_layout.h"
#include "engine/model/model_file.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/upload.h"

namespace preflight::forward {

/// One decoder layer on the device; names as in docs/model.md.
struct LayerWeights : CommonLayerWeights {
  vk::Buffer k_norm;  ///< [head_dim]
};

/// docs/model.md, vision embedder.
struct VisionWeights {
  vk::Buffer norm1_weight, norm1_bias;  ///< [6912]
  WeightMatrix dense;                   ///< [vision_dim, 6912]
  vk::Buffer dense_bias;                ///< [vision_dim]
  vk::Buffer norm2_weight, norm2_bias, norm3_weight, norm3_bias;
  vk::Buffer positions;       ///< [2 * positions, vision_dim]
  WeightMatrix projection;    ///< [model_dim, vision_dim]
  bool channel_major;         ///< order of the 6912 inputs
  bool positions_axis_major;  ///< [2][positions] instead of [positions][2]
};

struct ModelWeights {
  WeightMatrix embedding;            ///< [vocab, model_dim]
  std::optional<WeightMatrix> head;  ///< absent: the embedding is the output matrix too
  vk::Buffer output_norm;
  std::vector<LayerWeights> layers;
  std::optional<VisionWeights> vision;
  std::optional<WeightMatrix> audio;  ///< [model_dim, audio_frame]
};

/// Device bytes that load_weights will take.
[[nodiscard]] Result<std::uint64_t> weights_bytes(const model::ModelFile& file,
                                                  const vk::DeviceDescription& device,
                                                  std::uint32_t lanes);
[[nodiscard]] Result<ModelWeights> load_weights(vk::Device& device, vk::Uploader& uploader,
                                                const model::ModelFile& file,
                                                Interleave interleave);

}  // namespace preflight::forward
