#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "vk/error.h"

namespace preflight::model {

/// A regular file mapped read-only, unmapped with the object. Move-only; the bytes do not move with
/// it.
class MappedFile {
 public:
  /// Errors: kNotFound, kIo, kInvalidInput (no regular file, or empty); each names the path.
  [[nodiscard]] static Result<MappedFile> open(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] std::span<const std::byte> bytes() const { return bytes_; }
  /// The path as given, for messages.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  MappedFile(std::span<const std::byte> bytes, std::string name);
  std::span<const std::byte> bytes_;
  std::string name_;
};

/// Hints for bytes of a MappedFile, and only for such: these will be read soon, and these not
/// again. The pages of the latter no longer count as this process's memory; they stay in the
/// system's cache, and reading them after all is only slower. A system that takes no hints is no
/// error.
void expect_mapped(std::span<const std::byte> bytes);
void release_mapped(std::span<const std::byte> bytes);

/// A whole small file as text. Errors as MappedFile::open, and kLimit above `most_bytes`.
[[nodiscard]] Result<std::string> read_text_file(const std::filesystem::path& path,
                                                 std::size_t most_bytes);

/// Text from a file, made fit for a message: in quotes, at most 80 bytes, everything but printable
/// ASCII escaped.
[[nodiscard]] std::string in_quotes(std::string_view text);

}  // namespace preflight::model
