#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/model/gguf_writer.h"
#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::model {

/// Adds tensors of random weights to a file one by one; each gets its own stream of random numbers.
class TensorMaker {
 public:
  TensorMaker(GgufWriter& writer, std::uint64_t seed) : writer_(writer), seed_(seed) {}

  /// A matrix that keeps the variance of its input: deviation 1 / sqrt(cols).
  Result<void> matrix(std::string name, TensorType type, std::uint64_t cols, std::uint64_t rows);
  /// F32 values around `mean`.
  Result<void> values(std::string name, std::vector<std::uint64_t> ne, float mean, float spread);
  Result<void> exact(std::string name, std::vector<float> content);

 private:
  GgufWriter& writer_;
  std::uint64_t seed_;
  std::uint64_t n_tensors_ = 0;
};

}  // namespace preflight::model
