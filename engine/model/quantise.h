#pragma once

#include <cstddef>
#include <span>

#include "engine/model/tensor.h"

namespace preflight::model {

/// Whether quantise() writes this type: F32, F16, BF16, Q8_0, Q4_0, Q4_K, Q6_K.
[[nodiscard]] bool can_quantise(TensorType type);

/// Encodes finite values into whole blocks: values.size() / block_values(type) blocks, both sizes
/// without remainder. Every value comes back from dequantise() within half a step of its group,
/// where the step is the group's scale (AffineGroup::scale). Simple rounding, no search for better
/// scales.
void quantise(TensorType type, std::span<const float> values, std::span<std::byte> blocks);

}  // namespace preflight::model
