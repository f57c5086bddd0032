#include "engine/run/command.h"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace preflight::run {

Result<std::string> read_stdin(std::size_t most_bytes) {
  std::string text;
  std::array<char, 65536> block{};
  while (true) {
    const std::size_t n = std::fread(block.data(), 1, block.size(), stdin);
    text.append(block.data(), n);
    if (text.size() > most_bytes) {
      return fail(ErrorCode::kLimit,
                  fmt::format("standard input is longer than {} bytes", most_bytes));
    }
    if (n == block.size()) continue;
    if (std::ferror(stdin) != 0) {
      return fail(ErrorCode::kIo,
                  fmt::format("standard input could not be read: {}", std::strerror(errno)));
    }
    return text;
  }
}

Result<void> write_stdout(std::string_view bytes) {
  const bool whole = std::fwrite(bytes.data(), 1, bytes.size(), stdout) == bytes.size();
  if (whole && std::fflush(stdout) == 0) return {};
  return fail(ErrorCode::kIo,
              fmt::format("standard output could not be written: {}", std::strerror(errno)));
}

}  // namespace preflight::run
