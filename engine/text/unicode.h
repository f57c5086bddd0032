#pragma once

#include <string>
#include <string_view>

namespace preflight::text {

/// Without the Unicode white space at both ends (docs/text.md names the characters).
std::string_view trim(std::string_view text);

/// One-to-one case mapping of every character; text that is not UTF-8 stays as it is there.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);

}  // namespace preflight::text
