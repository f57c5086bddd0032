#include "engine/text/unicode.h"

#include <cstddef>

#include <locale.h>
#include <wctype.h>

#include "engine/text/utf8.h"

namespace preflight::text {
namespace {

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
         c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

/// The C library's Unicode tables, whatever locale the process runs in; null where they are
/// missing.
locale_t unicode_locale() {
  static const locale_t kLocale = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  return kLocale;
}

char32_t map_case(char32_t c, bool upper) {
  const locale_t locale = unicode_locale();
  if (c >= 0x80 && locale == nullptr) return c;
  const auto wide = static_cast<wint_t>(c);
  if (locale == nullptr) return static_cast<char32_t>(upper ? towupper(wide) : towlower(wide));
  return static_cast<char32_t>(upper ? towupper_l(wide, locale) : towlower_l(wide, locale));
}

std::string with_case(std::string_view text, bool upper) {
  std::string out;
  while (!text.empty()) {
    const Utf8Step step = next_character(text);
    if (step.well_formed) {
      append_utf8(out, map_case(step.code_point, upper));
    } else {
      out += text.substr(0, step.length_bytes);
    }
    text.remove_prefix(step.length_bytes);
  }
  return out;
}

/// Length of the last character, or 1 if the end is ill-formed.
std::size_t last_length_bytes(std::string_view text) {
  for (std::size_t n = 1; n <= 4 && n <= text.size(); ++n) {
    const Utf8Step step = next_character(text.substr(text.size() - n));
    if (step.well_formed && step.length_bytes == n) return n;
  }
  return 1;
}

}  // namespace

std::string_view trim(std::string_view text) {
  while (!text.empty()) {
    const Utf8Step step = next_character(text);
    if (!step.well_formed || !is_space(step.code_point)) break;
    text.remove_prefix(step.length_bytes);
  }
  while (!text.empty()) {
    const std::size_t n = last_length_bytes(text);
    const Utf8Step step = next_character(text.substr(text.size() - n));
    if (!step.well_formed || !is_space(step.code_point)) break;
    text.remove_suffix(n);
  }
  return text;
}

std::string to_upper(std::string_view text) { return with_case(text, true); }

std::string to_lower(std::string_view text) { return with_case(text, false); }

}  // namespace preflight::text
