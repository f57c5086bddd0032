#include "daemon/log.h"

#include <cstdio>
#include <string>

namespace preflight::daemon {

void write_log(LogLevel level, std::string_view line) {
  std::string out = fmt::format("<{}>", static_cast<int>(level));
  for (const char c : line) out.push_back(static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  out.push_back('\n');
  // One call is one write: stderr is not buffered, and lines of two threads do not mix. If it fails
  // there is nobody left to tell.
  static_cast<void>(std::fwrite(out.data(), 1, out.size(), stderr));
}

}  // namespace preflight::daemon
