#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "vk/error.h"

namespace preflight::model {

/// One tensor to write: "F32" or "I32" by the type of its data.
struct OutputTensor {
  std::string name;
  std::vector<std::uint64_t> shape;  ///< outer to inner; its product is the size of the data
  std::variant<std::span<const float>, std::span<const std::int32_t>> data;
};

/// Writes the tensors, in this order, as a safetensors file (docs/model.md#safetensors). A file of
/// that name is replaced; a file that could not be written whole is removed. Errors: kIo, naming
/// the path and what the system said; kInvalidInput for a shape that does not fit the data or a
/// name given twice.
[[nodiscard]] Result<void> write_safetensors(const std::filesystem::path& path,
                                             std::span<const OutputTensor> tensors);

}  // namespace preflight::model
