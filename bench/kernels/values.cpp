#include "bench/kernels/values.h"

#include <algorithm>

#include "engine/model/blocks.h"
#include "engine/model/random_weights.h"

namespace preflight::bench {

Result<std::unique_ptr<SampledMatrix>> SampledMatrix::create(model::TensorType type,
                                                             std::uint32_t rows, std::uint32_t cols,
                                                             std::uint32_t seed) {
  constexpr std::uint32_t kSampledRows = 48;
  auto matrix = std::make_unique<SampledMatrix>();
  matrix->bytes.resize(rows * model::row_bytes(type, cols).value());
  model::fill_random(type, 0.02f, model::random_key(seed, 0), 0, matrix->bytes);
  matrix->tensor = {
      .name = "benchmark", .type = type, .cols = cols, .rows = rows, .bytes = matrix->bytes};
  const std::uint32_t n = std::min(kSampledRows, rows);
  matrix->sampled.resize(std::size_t{n} * cols);
  for (std::uint32_t i = 0; i < n; i++) {
    const auto row = static_cast<std::uint32_t>((std::uint64_t{i} + 1) * rows / n - 1);
    matrix->sampled_rows.push_back(row);
    PREFLIGHT_TRY_VOID(model::read_rows(
        matrix->tensor, row, 1, std::span(matrix->sampled).subspan(std::size_t{i} * cols, cols)));
  }
  return matrix;
}

}  // namespace preflight::bench
