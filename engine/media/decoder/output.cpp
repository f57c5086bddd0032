#include "engine/media/decoder/output.h"

#include <cerrno>
#include <cstring>

#include <unistd.h>

#include <fmt/format.h>

#include "engine/media/decoder/protocol.h"

namespace preflight::media {

Result<std::uint64_t> Output::append(std::span<const std::byte> bytes) {
  const std::uint64_t begin = (end_ + kArrayAlignment - 1) / kArrayAlignment * kArrayAlignment;
  if (begin > max_bytes_ || bytes.size() > max_bytes_ - begin) {
    return fail(ErrorCode::kLimit,
                fmt::format("decodes to more than {} MiB of pixels and samples", max_bytes_ >> 20));
  }
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n =
        ::pwrite(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(begin + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      return fail(ErrorCode::kIo,
                  fmt::format("could not be handed over: {}", std::strerror(errno)));
    }
    done += static_cast<std::size_t>(n);
  }
  end_ = begin + bytes.size();
  return begin;
}

}  // namespace preflight::media
