#pragma once

#include <cstdint>
#include <vector>

#include "engine/forward/layer_weights.h"
#include "engine/forward/weight_layout.h"
#include "engine/model/drafter_file.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/upload.h"

namespace preflight::forward {

/// Names as in docs/model.md#drafter.
struct DrafterWeights {
  WeightMatrix head;             ///< [vocab, model_dim]
  WeightMatrix pre_projection;   ///< [model_dim, 2 * target_dim]
  WeightMatrix post_projection;  ///< [target_dim, model_dim]
  vk::Buffer output_norm;
  std::vector<CommonLayerWeights> layers;
};

/// Device bytes that load_drafter_weights will take.
[[nodiscard]] Result<std::uint64_t> drafter_weights_bytes(const model::DrafterFile& file,
                                                          const vk::DeviceDescription& device,
                                                          std::uint32_t lanes);
[[nodiscard]] Result<DrafterWeights> load_drafter_weights(vk::Device& device,
                                                          vk::Uploader& uploader,
                                                          const model::DrafterFile& file,
                                                          Interleave interleave);

}  // namespace preflight::forward
