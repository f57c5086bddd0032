#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/model/random_weights.h"
#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::bench {

using model::normals;

/// A matrix of random weights in a file's block format, and some of its rows decoded: enough to
/// hold a product against its twin without decoding all of it.
struct SampledMatrix {
  std::vector<std::byte> bytes;
  model::Tensor tensor;                     ///< points into bytes
  std::vector<std::uint32_t> sampled_rows;  ///< spread over the matrix, the last one among them
  std::vector<float> sampled;               ///< [sampled_rows, cols]

  [[nodiscard]] static Result<std::unique_ptr<SampledMatrix>> create(model::TensorType type,
                                                                     std::uint32_t rows,
                                                                     std::uint32_t cols,
                                                                     std::uint32_t seed);
};

}  // namespace preflight::bench
