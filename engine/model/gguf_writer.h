#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/gguf_file.h"
#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::model {

enum class MatrixData : std::uint8_t {
  kMade,
  kZeros,  ///< not written: the file has holes, which read as zeros and take no room on disk
};

/// Collects metadata and tensor descriptions, then writes a GGUF version 3 file whose tensor data
/// is made while it is written, in parts, by several threads. Memory: the metadata and a few MiB
/// per thread.
class GgufWriter {
 public:
  /// Makes the blocks first_block, first_block + 1, ... of a tensor; called by any thread, for any
  /// part, once for each.
  using Fill = std::function<void(std::uint64_t first_block, std::span<std::byte> blocks)>;

  void add_text(std::string_view key, std::string_view value);
  void add_uint(std::string_view key, std::uint32_t value);
  void add_float(std::string_view key, float value);
  void add_bool(std::string_view key, bool value);
  void add_texts(std::string_view key, std::span<const std::string> values);
  void add_ints(std::string_view key, std::span<const std::int32_t> values);
  void add_floats(std::string_view key, std::span<const float> values);
  void add_bools(std::string_view key, const std::vector<bool>& values);

  /// `ne` innermost first. Errors: kInvalidInput when a row is no whole number of blocks.
  [[nodiscard]] Result<void> add_tensor(std::string name, TensorType type,
                                        std::vector<std::uint64_t> ne, Fill fill);

  /// Bytes of the file that write() makes.
  [[nodiscard]] std::uint64_t file_bytes() const;
  /// Writes beside `path` and renames at the end, so that `path` never holds half a file.
  /// Tensors of one dimension are always made. Errors: kIo, naming the path and what the system
  /// said.
  [[nodiscard]] Result<void> write(const std::filesystem::path& path, unsigned n_threads,
                                   MatrixData matrices = MatrixData::kMade) const;

 private:
  struct Entry {
    std::string name;
    TensorType type;
    std::vector<std::uint64_t> ne;
    std::uint64_t bytes;
    std::uint64_t offset;  ///< from the start of the tensor data
    Fill fill;
  };
  void begin_value(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType element, std::size_t count);
  [[nodiscard]] std::string header() const;

  std::string values_;  ///< encoded metadata
  std::uint64_t n_values_ = 0;
  std::vector<Entry> tensors_;
  std::uint64_t data_bytes_ = 0;
};

}  // namespace preflight::model
