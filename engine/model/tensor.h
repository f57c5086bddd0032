#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vk/error.h"

namespace preflight::model {

/// How the values of a tensor are stored (docs/model.md#block-formats). The first seven have
/// kernels that read them packed, the others are converted at load.
enum class TensorType : std::uint8_t {
  kF32,
  kF16,
  kBF16,
  kQ8_0,
  kQ4_0,
  kQ4_K,
  kQ6_K,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ5_K,
  kIQ4_NL,
  kIQ4_XS,
};

/// A named matrix or vector inside a mapped file. Rows are contiguous, each `cols` values long;
/// blocks of packed types run along a row.
struct Tensor {
  std::string name;  ///< canonical, the names of GGUF files (docs/model.md#tensors)
  TensorType type = TensorType::kF32;
  std::uint64_t cols = 0;  ///< values of a row: the inputs of a projection; ne[0] in GGUF
  std::uint64_t rows = 0;  ///< product of all other dimensions; 1 for vectors
  /// rows * row_bytes(type, cols) bytes of the mapped file, valid as long as its ModelFile. May
  /// start at any address: safetensors promise no alignment.
  std::span<const std::byte> bytes;
  bool mapped = false;  ///< `bytes` lie in a MappedFile: its hints may be given
};

/// Dequantises rows [row0, row0 + n_rows) to f32; out.size() == n_rows * cols.
/// Errors: kInvalidInput when the rows or the output do not fit the tensor.
[[nodiscard]] Result<void> read_rows(const Tensor& tensor, std::uint64_t row0, std::uint64_t n_rows,
                                     std::span<float> out);

}  // namespace preflight::model
