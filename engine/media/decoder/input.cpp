#include "engine/media/decoder/input.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace preflight::media {
namespace {
constexpr std::uint64_t kSniffBytes = 64 * 1024;
}  // namespace

Result<Input> Input::open(int fd) {
  struct stat info = {};
  if (::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return fail(ErrorCode::kIo, "is no regular file");
  }
  Input input;
  input.fd_ = fd;
  input.size_bytes_ = static_cast<std::uint64_t>(info.st_size);
  std::vector<std::uint8_t> head(std::min(kSniffBytes, input.size_bytes_));
  const std::int64_t n_read = input.read(0, head);
  if (n_read < 0) {
    return fail(ErrorCode::kIo, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  head.resize(static_cast<std::size_t>(n_read));
  input.kind_ = sniff(head);
  return input;
}

std::int64_t Input::read(std::uint64_t offset, std::span<std::uint8_t> out) const {
  std::size_t done = 0;
  while (done < out.size() && offset + done < size_bytes_) {
    const ssize_t n =
        ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return -1;
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return static_cast<std::int64_t>(done);
}

Result<std::vector<std::uint8_t>> Input::read_all() const {
  std::vector<std::uint8_t> bytes(size_bytes_);
  const std::int64_t n_read = read(0, bytes);
  if (n_read < 0) {
    return fail(ErrorCode::kIo, fmt::format("cannot be read: {}", std::strerror(errno)));
  }
  bytes.resize(static_cast<std::size_t>(n_read));
  return bytes;
}

}  // namespace preflight::media
