#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace preflight::review {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }  // in any locale

/// For comparing what was read or heard with what is written: lower case, marks and white space
/// folded into single spaces. Letters beyond ASCII keep their bytes, except that typographic quotes
/// and dashes count as marks.
std::string normalised(std::string_view text);

struct QuoteMatch {
  double similarity = 0;       ///< 0..1 of the normalised texts; 1: the quote stands there as it is
  std::size_t line = 0;        ///< from 1: where the best place begins; 0: none
  bool numbers_agree = false;  ///< every number of the quote stands in that place, none besides
};

/// The best place of `quote` in `text`. A quote of fewer than 2 normalised bytes matches nothing.
QuoteMatch find_quote(std::string_view quote, std::string_view text);

/// 0..1, of two whole texts.
double similarity(std::string_view a, std::string_view b);

}  // namespace preflight::review
