#include "engine/model/tensor.h"

#include <fmt/format.h>

#include "engine/model/blocks.h"

namespace preflight::model {

Result<void> read_rows(const Tensor& tensor, std::uint64_t row0, std::uint64_t n_rows,
                       std::span<float> out) {
  if (row0 > tensor.rows || n_rows > tensor.rows - row0)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("tensor \"{}\" has {} rows, rows {} to {} were asked for", tensor.name,
                            tensor.rows, row0, row0 + n_rows));
  if (out.size() / tensor.cols != n_rows || out.size() % tensor.cols != 0)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("tensor \"{}\": {} rows of {} values do not fit room for {} values",
                            tensor.name, n_rows, tensor.cols, out.size()));
  const std::optional<std::uint64_t> stride_bytes = row_bytes(tensor.type, tensor.cols);
  PREFLIGHT_ASSERT(stride_bytes && tensor.bytes.size() == *stride_bytes * tensor.rows);
  dequantise(tensor.type, tensor.bytes.subspan(row0 * *stride_bytes, n_rows * *stride_bytes), out);
  return {};
}

}  // namespace preflight::model
