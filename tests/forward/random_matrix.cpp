#include "tests/forward/random_matrix.h"

#include <cmath>
#include <cstring>
#include <random>

#include "engine/model/blocks.h"
#include "engine/model/half.h"
#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

using model::TensorType;

/// Where a block's float16 factors stand (docs/model.md, block formats).
std::vector<std::size_t> factors(TensorType type) {
  switch (type) {
    case TensorType::kQ4_1:
    case TensorType::kQ5_1:
    case TensorType::kQ4_K:
    case TensorType::kQ5_K:
      return {0, 2};
    case TensorType::kQ2_K:
      return {80, 82};
    case TensorType::kQ3_K:
      return {108};
    case TensorType::kQ6_K:
      return {208};
    default:
      return {0};
  }
}

template <class Encode>
void encode_values(std::vector<std::byte>& bytes, std::size_t n, std::uint32_t seed,
                   Encode encode) {
  const std::vector<float> values = normals(n, seed, 0.1f);
  for (std::size_t i = 0; i < n; i++) {
    const auto stored = encode(values[i]);
    std::memcpy(bytes.data() + i * sizeof stored, &stored, sizeof stored);
  }
}

}  // namespace

RandomMatrix::RandomMatrix(TensorType type, std::uint32_t rows, std::uint32_t cols,
                           std::uint32_t seed) {
  const std::uint64_t row_bytes = model::row_bytes(type, cols).value();
  bytes.resize(rows * row_bytes);
  const std::size_t n = std::size_t{rows} * cols;
  switch (type) {
    case TensorType::kF32:
      encode_values(bytes, n, seed, [](float v) { return v; });
      break;
    case TensorType::kF16:
      encode_values(bytes, n, seed, model::half_from_float);
      break;
    case TensorType::kBF16:
      encode_values(bytes, n, seed, model::bf16_from_float);
      break;
    default: {
      std::mt19937 generator(seed);
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(generator() & 255);
      std::uniform_real_distribution<float> factor(-0.02f, 0.02f);
      for (std::size_t block = 0; block < bytes.size(); block += model::block_bytes(type))
        for (const std::size_t at : factors(type)) {
          const std::uint16_t half = model::half_from_float(factor(generator));
          std::memcpy(bytes.data() + block + at, &half, sizeof half);
        }
    }
  }
  tensor = {.name = std::string(model::type_name(type)) + " matrix",
            .type = type,
            .cols = cols,
            .rows = rows,
            .bytes = bytes};
  values.resize(n);
  must(model::read_rows(tensor, 0, rows, values));
}

std::vector<float> magnitudes(std::vector<float> values) {
  for (float& value : values) value = std::abs(value);
  return values;
}

double sum_error(std::uint32_t cols) { return (cols + 2) * 0x1p-24; }

}  // namespace preflight::forward
