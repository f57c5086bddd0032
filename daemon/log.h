// Lines on stderr with the level prefix that the journal reads (sd-daemon(3)). Nothing of a
// bundle's content is ever logged: ids, counts, sizes and our own sentences only.
#pragma once

#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace preflight::daemon {

enum class LogLevel { kError = 3, kWarning = 4, kNotice = 5, kInfo = 6 };

/// One line, written whole; line breaks and control characters in it become spaces. Any thread.
void write_log(LogLevel level, std::string_view line);

template <class... Args>
void log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  write_log(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace preflight::daemon
