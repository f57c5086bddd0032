#include "engine/text/utf8.h"

#include <gtest/gtest.h>

namespace preflight::text {
namespace {

const std::string kOne = "\xEF\xBF\xBD";

TEST(Utf8Test, ReplacesEachMaximalSubpartOnce) {
  EXPECT_EQ(replace_ill_formed("\xE2\x82"), kOne);
  EXPECT_EQ(replace_ill_formed("\xF0\x9F\x98"), kOne);
  EXPECT_EQ(replace_ill_formed("\xED\xA0\x80"), kOne + kOne + kOne);
  EXPECT_EQ(replace_ill_formed("\xC0\xAF"), kOne + kOne);
  EXPECT_EQ(replace_ill_formed("\xE2\x82"
                               "a"),
            kOne + "a");
  EXPECT_EQ(replace_ill_formed("\xF4\x90\x80\x80"), kOne + kOne + kOne + kOne);
  EXPECT_EQ(replace_ill_formed("\xF4\x8F\xBF\xBF"), "\xF4\x8F\xBF\xBF");
  EXPECT_EQ(replace_ill_formed("caf\xE9"), "caf" + kOne);
}

TEST(Utf8Test, EveryCodePointSurvivesTheRoundTrip) {
  for (char32_t c = 0; c <= 0x10FFFF; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    const Utf8Step step = next_character(text);
    ASSERT_TRUE(step.well_formed) << static_cast<std::uint32_t>(c);
    ASSERT_EQ(step.code_point, c);
    ASSERT_EQ(step.length_bytes, text.size());
  }
}

TEST(Utf8Test, AStreamHoldsBackOnlyWhatMayStillBecomeACharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.push("a\xE2"), "a");
  EXPECT_EQ(stream.push("\x82"), "");
  EXPECT_EQ(stream.push("\xAC"
                        "b"),
            "\xE2\x82\xAC"
            "b");
  EXPECT_EQ(stream.push("\xE2\x82"), "");
  EXPECT_EQ(stream.push("c"), kOne + kOne + "c");
  EXPECT_EQ(stream.push("\xFF"), kOne);
  EXPECT_EQ(stream.push("\xF0\x9F\x98"), "");
  EXPECT_EQ(stream.finish(), kOne + kOne + kOne);
  EXPECT_EQ(stream.finish(), "");
}

}  // namespace
}  // namespace preflight::text
