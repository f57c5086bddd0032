#include "client/terminal_text.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

#include <fmt/format.h>

namespace preflight::client {
namespace {

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 0;  // 0: the text is malformed here
};

// The first code point of `text`, which is not empty (Unicode 15, table 3-7).
CodePoint decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < bytes) return {};
  char32_t value = lead & (0x7fu >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3f);
  }
  const bool overlong = (bytes == 3 && value < 0x800) || (bytes == 4 && value < 0x10000);
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (overlong || surrogate || value > 0x10ffff) return {};
  return {value, bytes};
}

using Range = std::pair<char32_t, char32_t>;

template <std::size_t n>
bool in(const std::array<Range, n>& ranges, char32_t value) {
  return std::any_of(ranges.begin(), ranges.end(), [value](const Range& range) {
    return value >= range.first && value <= range.second;
  });
}

// C0, DEL, C1, direction marks and overrides, line separators, byte order mark.
constexpr std::array<Range, 6> kUnwanted{{{0, 0x1f},
                                          {0x7f, 0x9f},
                                          {0x200e, 0x200f},
                                          {0x2028, 0x202e},
                                          {0x2066, 0x2069},
                                          {0xfeff, 0xfeff}}};
constexpr std::array<Range, 5> kZeroWidth{
    {{0x300, 0x36f}, {0x200b, 0x200d}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}}};
constexpr std::array<Range, 8> kWide{{{0x1100, 0x115f},
                                      {0x2e80, 0xa4cf},
                                      {0xac00, 0xd7a3},
                                      {0xf900, 0xfaff},
                                      {0xfe30, 0xfe6f},
                                      {0xff00, 0xff60},
                                      {0x1f300, 0x1faff},
                                      {0x20000, 0x3fffd}}};

std::size_t columns_of(char32_t value) {
  return in(kZeroWidth, value) ? 0 : in(kWide, value) ? 2 : 1;
}

}  // namespace

std::string one_line(std::string_view text) {
  std::string line;
  bool space = false;
  while (!text.empty()) {
    const char c = text.front();
    const CodePoint point = decode(text);
    const std::string_view bytes = text.substr(0, std::max<std::size_t>(point.bytes, 1));
    text.remove_prefix(bytes.size());
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      space = true;
      continue;
    }
    if (space && !line.empty()) line += ' ';
    space = false;
    if (point.bytes == 0 || in(kUnwanted, point.value)) {
      line += '?';
    } else {
      line += bytes;
    }
  }
  return line;
}

std::size_t display_width(std::string_view text) {
  std::size_t width = 0;
  while (!text.empty()) {
    const CodePoint point = decode(text);
    width += point.bytes == 0 ? 1 : columns_of(point.value);
    text.remove_prefix(std::max<std::size_t>(point.bytes, 1));
  }
  return width;
}

namespace {

// Where the code point that begins at `at` ends.
std::size_t next(std::string_view text, std::size_t at) {
  return at + std::max<std::size_t>(decode(text.substr(at)).bytes, 1);
}

std::size_t used_with(std::string_view line, std::string_view word) {
  return display_width(line) + display_width(word);
}

}  // namespace

std::vector<std::string> wrap(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  std::string line;
  const auto flush = [&] {
    if (!line.empty()) lines.push_back(std::exchange(line, {}));
  };
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    const std::size_t used = display_width(line);
    if (used > 0 && used + 1 + display_width(word) > width) flush();
    if (!line.empty()) line += ' ';
    // A word longer than a line is cut, best at its own joints.
    while (used_with(line, word) > width) {
      std::size_t fits = 0;
      std::size_t joint = 0;
      while (used_with(line, word.substr(0, next(word, fits))) <= width) {
        fits = next(word, fits);
        if (std::string_view("./_-").find(word[fits - 1]) != std::string_view::npos) joint = fits;
      }
      const std::size_t cut = joint > 0 ? joint : std::max(fits, next(word, 0));
      line += word.substr(0, cut);
      word.remove_prefix(cut);
      flush();
    }
    line += word;
  }
  flush();
  if (lines.empty()) lines.emplace_back();
  return lines;
}

std::string painted(std::string_view text, Colour colour) {
  switch (colour) {
    case Colour::kRed:
      return fmt::format("\x1b[31m{}\x1b[0m", text);
    case Colour::kYellow:
      return fmt::format("\x1b[33m{}\x1b[0m", text);
    case Colour::kGreen:
      return fmt::format("\x1b[32m{}\x1b[0m", text);
    case Colour::kCyan:
      return fmt::format("\x1b[36m{}\x1b[0m", text);
    case Colour::kNone:
      break;
  }
  return std::string(text);
}

TextTable::TextTable(std::vector<Column> columns, bool colours)
    : columns_(std::move(columns)), colours_(colours) {
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title});
  add(titles);
  rule();
}

void TextTable::add(const std::vector<Cell>& cells) {
  std::vector<std::vector<std::string>> wrapped;
  std::size_t n_lines = 0;
  for (std::size_t c = 0; c < cells.size(); ++c) {
    wrapped.push_back(wrap(one_line(cells[c].text), columns_[c].width));
    n_lines = std::max(n_lines, wrapped.back().size());
  }
  for (std::size_t n = 0; n < n_lines; ++n) {
    std::string line;
    std::size_t gap = 0;  // spaces owed before the next text
    for (std::size_t c = 0; c < cells.size(); ++c) {
      const std::string cell = n < wrapped[c].size() ? wrapped[c][n] : "";
      if (!cell.empty()) {
        line.append(gap, ' ');
        line += colours_ ? painted(cell, cells[c].colour) : cell;
        gap = 0;
      }
      gap += columns_[c].width - display_width(cell) + 1;
    }
    text_ += line + '\n';
  }
}

void TextTable::rule() {
  std::size_t width = columns_.size() - 1;
  for (const Column& column : columns_) width += column.width;
  text_ += std::string(width, '-') + '\n';
}

}  // namespace preflight::client
