#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vk/error.h"

namespace preflight::media {

/// The shared memory that carries pixels and samples to the host; arrays one after another.
class Output {
 public:
  Output(int fd, std::uint64_t max_bytes) : fd_(fd), max_bytes_(max_bytes) {}

  /// Writes an array at the next aligned offset and returns the offset. Errors: kLimit when the
  /// output would grow past its limit, kIo.
  Result<std::uint64_t> append(std::span<const std::byte> bytes);

 private:
  int fd_;
  std::uint64_t max_bytes_;
  std::uint64_t end_ = 0;
};

}  // namespace preflight::media
