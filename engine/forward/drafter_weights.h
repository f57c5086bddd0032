#pragma once

#include <cstdint>
#include <vector>

#include "engine/forward/weight_layout.h"
#include "engine/model/drafter_file.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/upload.h"

namespace preflight::forward {

/// One layer of the drafter; names as in docs/model.md#drafter. Vectors are float32.
struct DrafterLayerWeights {
  vk::Buffer attn_norm, post_attention_norm, ffn_norm, post_ffn_norm;  ///< [model_dim]
  vk::Buffer q_norm;                                                   ///< [head_dim]
  float layer_scalar;
  WeightMatrix q, o, gate, up, down;
};

struct DrafterWeights {
  WeightMatrix head;             ///< [vocab, model_dim]
  WeightMatrix pre_projection;   ///< [model_dim, 2 * target_dim]
  WeightMatrix post_projection;  ///< [target_dim, model_dim]
  vk::Buffer output_norm;
  std::vector<DrafterLayerWeights> layers;
};

/// Device bytes that load_drafter_weights will take.
[[nodiscard]] Result<std::uint64_t> drafter_weights_bytes(const model::DrafterFile& file,
                                                          const vk::DeviceDescription& device,
                                                          std::uint32_t lanes);
[[nodiscard]] Result<DrafterWeights> load_drafter_weights(vk::Device& device,
                                                          vk::Uploader& uploader,
                                                          const model::DrafterFile& file,
                                                          std::uint32_t lanes);

}  // namespace preflight::forward
