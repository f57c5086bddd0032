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

std::vector<float> magnitudes(std::vector<float> values);

/// A float32 sum of `cols` products, however it is rounded, is off by at most this share of the sum
/// of the products' magnitudes; two more roundings are the weight's and the epilogue's.
double sum_error(std::uint32_t cols);

}  // namespace preflight::forward
