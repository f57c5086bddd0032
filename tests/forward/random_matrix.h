#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/model/tensor.h"

namespace preflight::forward {

/// A matrix in a file's block format: every bit of the blocks random (all scales, minimums and
/// codes a file can hold), but for the float16 factors, which are small and finite.
struct RandomMatrix {
  std::vector<std::byte> bytes;
  model::Tensor tensor;       ///< points into bytes
  std::vector<float> values;  ///< decoded [rows, cols]

  RandomMatrix(model::TensorType type, std::uint32_t rows, std::uint32_t cols, std::uint32_t seed);
  RandomMatrix(const RandomMatrix&) = delete;
  RandomMatrix& operator=(const RandomMatrix&) = delete;
};

}  // namespace preflight::forward
