#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/media/decoder/sniff.h"
#include "vk/error.h"

namespace preflight::media {

/// The input file as the decoders see it: a size and bytes at offsets. Read with pread, so that
/// nobody's position matters.
class Input {
 public:
  /// Errors: kIo when the descriptor is no regular file.
  static Result<Input> open(int fd);

  std::uint64_t size_bytes() const { return size_bytes_; }
  FileKind kind() const { return kind_; }

  /// Reads up to out.size() bytes; fewer only at the end of the file. Returns how many, -1 on an
  /// error of the system.
  std::int64_t read(std::uint64_t offset, std::span<std::uint8_t> out) const;
  /// The whole file; the caller has checked its size against a limit.
  Result<std::vector<std::uint8_t>> read_all() const;

 private:
  int fd_ = -1;
  std::uint64_t size_bytes_ = 0;
  FileKind kind_ = FileKind::kUnknown;
};

}  // namespace preflight::media
