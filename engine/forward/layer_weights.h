#pragma once

#include <cstdint>

#include "engine/forward/tensor_loader.h"
#include "engine/forward/weight_layout.h"
#include "vk/buffer.h"
#include "vk/error.h"

namespace preflight::forward {

/// What layers of the model and of the drafter have in common; names as in docs/model.md. Vectors
/// are float32.
struct CommonLayerWeights {
  vk::Buffer attn_norm, post_attention_norm, ffn_norm, post_ffn_norm;  ///< [model_dim]
  vk::Buffer q_norm;                                                   ///< [head_dim]
  float layer_scalar;
  WeightMatrix q, o, gate, up, down;
};

[[nodiscard]] Result<CommonLayerWeights> load_common_layer(const TensorLoader& loader,
                                                           std::uint32_t ix);

}  // namespace preflight::forward
