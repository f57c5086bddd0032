#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace preflight::text {

/// What stands at the start of a byte string.
struct Utf8Step {
  std::size_t length_bytes =
      0;                    ///< bytes of the character, or of the ill-formed start (at least 1)
  char32_t code_point = 0;  ///< meaningful if well_formed
  bool well_formed = false;
  bool cut_short = false;  ///< ill-formed only because the bytes end: more could complete it
};

/// Reads one character of a non-empty string. An ill-formed step covers the maximal subpart of
/// Unicode 15, 3.9: the longest start of some character.
Utf8Step next_character(std::string_view bytes);

/// `code_point` as UTF-8; U+FFFD for a surrogate or a number past U+10FFFF.
void append_utf8(std::string& out, char32_t code_point);

bool is_well_formed(std::string_view bytes);

/// The text with every maximal ill-formed subpart replaced by one U+FFFD.
std::string replace_ill_formed(std::string_view bytes);

/// Turns bytes that arrive in pieces into text: holds back the at most three bytes that may still
/// become a character. A byte that belongs to no character becomes one U+FFFD each.
class Utf8Stream {
 public:
  /// The text that is certain after these bytes.
  std::string push(std::string_view bytes);
  /// What is left at the end.
  std::string finish();

 private:
  std::string held_;
};

}  // namespace preflight::text
