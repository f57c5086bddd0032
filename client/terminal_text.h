// Text for a terminal: what a report quotes was written by strangers and may hold control
// characters, and columns count what is seen, not bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace preflight::client {

/// The text on one line: white space runs become one space; control characters, direction marks
/// and malformed UTF-8 become "?".
std::string one_line(std::string_view text);

/// Terminal columns of a text from one_line(): wide East Asian characters take 2, combining marks
/// 0.
std::size_t display_width(std::string_view text);

/// Lines of at most `width` columns, cut at spaces, and inside a word only where it is too long.
std::vector<std::string> wrap(std::string_view text, std::size_t width);

enum class Colour { kNone, kRed, kYellow, kGreen, kCyan };

/// `text` in `colour` by ECMA-48; as it is for kNone.
std::string painted(std::string_view text, Colour colour);

struct Column {
  std::string title;
  std::size_t width = 0;
};

struct Cell {
  std::string text;
  Colour colour = Colour::kNone;
};

/// Rows of wrapped cells under a head, one space between columns, no space at line ends.
class TextTable {
 public:
  TextTable(std::vector<Column> columns, bool colours);
  void add(const std::vector<Cell>& cells);
  void rule();
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::vector<Column> columns_;
  bool colours_;
  std::string text_;
};

}  // namespace preflight::client
