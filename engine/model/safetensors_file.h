#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/mapped_file.h"
#include "vk/error.h"

namespace preflight::model {

/// One entry of a safetensors file. The data may start at any address.
struct SafeTensor {
  std::string name;
  std::string dtype;                 ///< as in the file: "F32", "BF16", "I32", "U8", ...
  std::vector<std::uint64_t> shape;  ///< outer to inner; empty for a scalar
  std::uint64_t element_bytes = 0;
  std::span<const std::byte> bytes;  ///< product(shape) * element_bytes
};

/// A safetensors file, mapped and checked: header length, names, shapes, ranges, overlaps
/// (docs/model.md#safetensors).
class SafetensorsFile {
 public:
  [[nodiscard]] static Result<SafetensorsFile> open(const std::filesystem::path& path);

  [[nodiscard]] const std::string& name() const { return file_.name(); }
  /// In the order of the data.
  [[nodiscard]] const std::vector<SafeTensor>& tensors() const { return tensors_; }
  [[nodiscard]] const SafeTensor* find(std::string_view name) const;
  [[nodiscard]] std::span<const std::byte> bytes() const { return file_.bytes(); }
  [[nodiscard]] std::span<const std::byte> header() const {
    return file_.bytes().first(header_bytes_);
  }

 private:
  explicit SafetensorsFile(MappedFile file) : file_(std::move(file)) {}
  Result<void> parse();

  MappedFile file_;
  std::size_t header_bytes_ = 0;
  std::vector<SafeTensor> tensors_;
};

}  // namespace preflight::model
