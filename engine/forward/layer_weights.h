#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

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
  /// Of the layer's input: Q alone in the drafter; in the model Q, K and, where the value is not
  /// the raw key, V, one below the other, in as few matrices as their types allow.
  std::vector<WeightMatrix> projections;
  WeightMatrix o, gate, up, down;
};

/// `projected`: whose weights are in `projections`, as "q", "k", "v".
[[nodiscard]] Result<CommonLayerWeights> load_common_layer(
    const TensorLoader& loader, std::uint32_t ix, std::span<const std::string_view> projected);

}  // namespace preflight::forward
