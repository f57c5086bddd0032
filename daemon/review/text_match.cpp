#include "daemon/review/text_match.h"

#include <algorithm>
#include <array>
#include <vector>

namespace preflight::review {
namespace {

/// Marks of U+2010 to U+203A (dashes, quotes, ellipsis): E2 80 xx.
bool is_typographic(std::string_view text, std::size_t i) {
  return text.size() - i >= 3 && text[i] == '\xe2' && text[i + 1] == '\x80';
}

bool is_mark(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x80 && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !is_digit(c) &&
         c != '%' && c != '$';
}

struct Folded {
  std::string text;
  std::vector<std::size_t> source;  ///< of each byte of `text`: its offset in the original
};

Folded fold(std::string_view text) {
  Folded out;
  out.text.reserve(text.size());
  bool gap = false;
  for (std::size_t i = 0; i < text.size();) {
    if (is_typographic(text, i)) {
      gap = true;
      i += 3;
      continue;
    }
    const char c = text[i];
    // A point or comma inside a number belongs to it: 1,299.00 is not 1 299 00.
    const bool inside_number = (c == '.' || c == ',') && i > 0 && i + 1 < text.size() &&
                               is_digit(text[i - 1]) && is_digit(text[i + 1]);
    if (is_mark(c) && !inside_number) {
      gap = true;
      ++i;
      continue;
    }
    if (gap && !out.text.empty()) {
      out.text += ' ';
      out.source.push_back(i);
    }
    gap = false;
    out.text += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    out.source.push_back(i);
    ++i;
  }
  return out;
}

/// Two ways to write a number are one: "24.00" is 24, "1,299" is 1299.
std::string plain_number(std::string digits) {
  if (digits.ends_with(".00") || digits.ends_with(",00")) digits.resize(digits.size() - 3);
  for (std::size_t i = digits.find_first_of(".,"); i != std::string::npos;
       i = digits.find_first_of(".,", i + 1)) {
    const std::size_t end = std::min(digits.find_first_of(".,", i + 1), digits.size());
    if (end - i == 4) digits.erase(i--, 1);
  }
  return digits;
}

std::vector<std::string> numbers_of(std::string_view folded) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < folded.size();) {
    if (!is_digit(folded[i])) {
      ++i;
      continue;
    }
    std::string digits;
    for (; i < folded.size() && (is_digit(folded[i]) || folded[i] == '.' || folded[i] == ','); ++i)
      digits += folded[i];
    out.push_back(plain_number(std::move(digits)));
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

std::string normalised(std::string_view text) { return fold(text).text; }

QuoteMatch find_quote(std::string_view quote, std::string_view text) {
  const std::string needle = fold(quote).text;
  const Folded hay = fold(text);
  if (needle.size() < 2 || hay.text.empty()) return {};
  // Edit distance of the needle to any stretch of the text; `begin` carries where it started.
  const std::size_t n = needle.size();
  struct Cell {
    std::size_t cost, begin;
  };
  std::vector<Cell> column(n + 1);
  for (std::size_t i = 0; i <= n; ++i) column[i] = {i, 0};
  Cell best{n, 0};
  std::size_t best_end = 0;
  for (std::size_t j = 1; j <= hay.text.size(); ++j) {
    Cell diagonal = column[0];
    column[0] = {0, j};
    for (std::size_t i = 1; i <= n; ++i) {
      const Cell change{diagonal.cost + (needle[i - 1] == hay.text[j - 1] ? 0U : 1U),
                        diagonal.begin};
      const Cell skip_text{column[i].cost + 1, column[i].begin};
      const Cell skip_quote{column[i - 1].cost + 1, column[i - 1].begin};
      diagonal = column[i];
      Cell cell = change;
      if (skip_text.cost < cell.cost) cell = skip_text;
      if (skip_quote.cost < cell.cost) cell = skip_quote;
      column[i] = cell;
    }
    if (column[n].cost < best.cost) {
      best = column[n];
      best_end = j;
    }
  }
  if (best.cost >= n) return {};
  QuoteMatch match;
  match.similarity = 1.0 - static_cast<double>(best.cost) / static_cast<double>(n);
  // A number that the stretch only touches belongs to it whole.
  std::size_t begin = best.begin;
  std::size_t end = best_end;
  // Points and commas stand in folded text inside numbers only.
  const auto in_number = [&](std::size_t i) {
    const char c = hay.text[i];
    return is_digit(c) || c == '.' || c == ',';
  };
  while (begin > 0 && in_number(begin - 1) && in_number(begin)) --begin;
  while (end < hay.text.size() && end > 0 && in_number(end) && in_number(end - 1)) ++end;
  match.numbers_agree =
      numbers_of(needle) == numbers_of(std::string_view(hay.text).substr(begin, end - begin));
  const std::size_t offset = hay.source[std::min(best.begin, hay.source.size() - 1)];
  match.line = 1 + static_cast<std::size_t>(std::count(
                       text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
  return match;
}

double similarity(std::string_view a, std::string_view b) {
  const std::string left = fold(a).text;
  const std::string right = fold(b).text;
  const std::size_t longest = std::max(left.size(), right.size());
  if (longest == 0) return 1;
  std::vector<std::size_t> row(right.size() + 1);
  for (std::size_t j = 0; j <= right.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t change = diagonal + (left[i - 1] == right[j - 1] ? 0U : 1U);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return 1.0 - static_cast<double>(row[right.size()]) / static_cast<double>(longest);
}

}  // namespace preflight::review
