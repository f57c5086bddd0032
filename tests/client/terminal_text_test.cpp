#include "client/terminal_text.h"

#include <gtest/gtest.h>

namespace preflight::client {
namespace {

TEST(OneLine, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(one_line("a\x1b[31mred\x07"), "a?[31mred?");
  EXPECT_EQ(one_line("left\u202eright\u2066x"), "left?right?x");
  EXPECT_EQ(one_line("c1 \xc2\x9b"
                     "31m"),
            "c1 ?31m");
  EXPECT_EQ(one_line("  two\r\n\tlines  "), "two lines");
}

TEST(OneLine, ReplacesMalformedUtf8ByteByByte) {
  EXPECT_EQ(one_line("\xff\xc3(\xed\xa0\x80\xf5\xc3"),
            std::string(2, '?') + "(" + std::string(5, '?'));
  EXPECT_EQ(one_line("\xc0\xaf"), "??");
  EXPECT_EQ(one_line("caf\u00e9 \u5496"), "caf\u00e9 \u5496");
}

TEST(DisplayWidth, CountsWhatIsSeen) {
  EXPECT_EQ(display_width("cafe"), 4u);
  EXPECT_EQ(display_width("caf\u00e9"), 4u);
  EXPECT_EQ(display_width("cafe\u0301"), 4u);
  EXPECT_EQ(display_width("\u5496\u5561"), 4u);
}

TEST(Wrap, CutsAtSpacesAndInsideOnlyWhereItMust) {
  EXPECT_EQ(wrap("one two three", 7), (std::vector<std::string>{"one two", "three"}));
  EXPECT_EQ(wrap("abcdefghij kl", 4), (std::vector<std::string>{"abcd", "efgh", "ij", "kl"}));
  EXPECT_EQ(wrap("\u5496\u5561\u5496", 5), (std::vector<std::string>{"\u5496\u5561", "\u5496"}));
  EXPECT_EQ(wrap("fit youtube.instream.nonskip", 10),
            (std::vector<std::string>{"fit", "youtube.", "instream.", "nonskip"}));
  EXPECT_EQ(wrap("", 5), (std::vector<std::string>{""}));
}

TEST(TextTable, KeepsColumnsStraightAndLinesShort) {
  TextTable table({{"Name", 6}, {"What", 5}}, /*colours=*/true);
  table.add({{"\u5496\u5561\u5496\u5561"}, {"red", Colour::kRed}});
  table.add({{"x"}, {""}});
  EXPECT_EQ(table.text(),
            "Name   What\n"
            "------------\n"
            "\u5496\u5561\u5496 \x1b[31mred\x1b[0m\n"
            "\u5561\n"
            "x\n");
}

}  // namespace
}  // namespace preflight::client
