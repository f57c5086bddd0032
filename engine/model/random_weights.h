#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/model/tensor.h"

namespace preflight::model {

/// Fills blocks with random weights of mean 0 and this standard deviation. Codes are uniform,
/// scales nearly constant. What block n holds depends on `key` and n alone, so that parts of a
/// tensor can be made in any order and by any thread: `first_block` is the number of the first
/// block of `blocks`. blocks.size() is a multiple of block_bytes(type).
void fill_random(TensorType type, float deviation, std::uint64_t key, std::uint64_t first_block,
                 std::span<std::byte> blocks);

/// Values spread evenly between mean - spread and mean + spread, encoded as F32.
void fill_uniform(float mean, float spread, std::uint64_t key, std::uint64_t first_value,
                  std::span<std::byte> values);

/// n normally distributed values of mean 0.
[[nodiscard]] std::vector<float> normals(std::size_t n, std::uint32_t seed, float sigma = 1.0f);

/// A key for one tensor of one model.
[[nodiscard]] std::uint64_t random_key(std::uint64_t seed, std::uint64_t tensor);

}  // namespace preflight::model
