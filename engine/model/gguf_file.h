#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/model/mapped_file.h"
#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::model {

/// Value types of GGUF metadata, with the numbers they have in files.
enum class GgufType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

/// One metadata value, still in the file. Its extent has been checked, its content has not.
struct GgufValue {
  GgufType type = GgufType::kUint8;
  GgufType element = GgufType::kUint8;  ///< of an array
  std::uint64_t count = 1;              ///< elements of an array
  std::span<const std::byte> payload;   ///< the scalar, the string's text, or the array's elements
};

/// One tensor of a GGUF file; its extent lies inside the file.
struct GgufTensor {
  std::string_view name;
  std::array<std::uint64_t, 4> ne = {1, 1, 1, 1};  ///< ne[0] varies fastest
  TensorType type = TensorType::kF32;
  std::span<const std::byte> bytes;
};

/// A GGUF container, version 3 or 2, mapped and checked: every count and offset against the file's
/// size, alignment, overlaps, duplicate keys and names (docs/model.md#gguf). Views point into the
/// map.
class GgufFile {
 public:
  [[nodiscard]] static Result<GgufFile> open(const std::filesystem::path& path);

  [[nodiscard]] const std::string& name() const { return file_.name(); }
  [[nodiscard]] const std::vector<GgufTensor>& tensors() const { return tensors_; }
  [[nodiscard]] std::span<const std::byte> bytes() const { return file_.bytes(); }
  /// Everything before the tensor data.
  [[nodiscard]] std::span<const std::byte> header() const {
    return file_.bytes().first(header_bytes_);
  }

  [[nodiscard]] bool has(std::string_view key) const { return values_.contains(key); }
  /// Integer keys may be stored in any integer type; all of these complain by file and key.
  [[nodiscard]] Result<std::optional<std::uint32_t>> find_uint(std::string_view key) const;
  [[nodiscard]] Result<std::uint32_t> uint(std::string_view key) const;
  [[nodiscard]] Result<std::optional<float>> find_float(std::string_view key) const;
  [[nodiscard]] Result<float> number(std::string_view key) const;
  [[nodiscard]] Result<std::optional<bool>> find_bool(std::string_view key) const;
  [[nodiscard]] Result<std::optional<std::string_view>> find_text(std::string_view key) const;
  [[nodiscard]] Result<std::string_view> text(std::string_view key) const;
  /// An array of integers or booleans; a single number gives a list of one. Absent: no list.
  [[nodiscard]] Result<std::optional<std::vector<std::int64_t>>> find_ints(
      std::string_view key) const;
  /// An array of numbers of any type, or a single one.
  [[nodiscard]] Result<std::vector<float>> floats(std::string_view key) const;
  /// An array of strings, views into the map.
  [[nodiscard]] Result<std::vector<std::string_view>> texts(std::string_view key) const;
  [[nodiscard]] bool is_array(std::string_view key) const;

  /// "model.gguf: key gemma4.block_count: <rest>"
  [[nodiscard]] tl::unexpected<Error> wrong(ErrorCode code, std::string_view key,
                                            std::string_view rest) const;

 private:
  explicit GgufFile(MappedFile file) : file_(std::move(file)) {}
  Result<void> parse();
  [[nodiscard]] const GgufValue* find(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> missing(std::string_view key) const;
  [[nodiscard]] tl::unexpected<Error> mistyped(std::string_view key, const GgufValue& found,
                                               std::string_view expected) const;

  MappedFile file_;
  std::size_t header_bytes_ = 0;
  std::unordered_map<std::string_view, GgufValue> values_;
  std::vector<GgufTensor> tensors_;
};

/// The number a tensor type has in GGUF files.
[[nodiscard]] std::uint32_t gguf_type_id(TensorType type);

}  // namespace preflight::model
