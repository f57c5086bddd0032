#include "engine/text/value.h"

#include <gtest/gtest.h>

#include "engine/text/unicode.h"

namespace preflight::text {
namespace {

std::string number(std::string_view json) {
  auto value = parse_value(json, "it");
  return value.has_value() ? value->text : value.error().message;
}

TEST(ValueTest, NumbersAsAPromptShowsThem) {
  EXPECT_EQ(number("3"), "3");
  EXPECT_EQ(number("-0"), "0");
  EXPECT_EQ(number("1.5"), "1.5");
  EXPECT_EQ(number("2.0"), "2.0");
  EXPECT_EQ(number("-0.0"), "-0.0");
  EXPECT_EQ(number("1e20"), "1e+20");
  EXPECT_EQ(number("1E5"), "100000.0");
  EXPECT_EQ(number("1e-7"), "1e-07");
  EXPECT_EQ(number("0.0001"), "0.0001");
  EXPECT_EQ(number("0.00001"), "1e-05");
  EXPECT_EQ(number("1e15"), "1000000000000000.0");
  EXPECT_EQ(number("1e16"), "1e+16");
  EXPECT_EQ(number("12345.678e-2"), "123.45678");
  EXPECT_EQ(number("1.25e-300"), "1.25e-300");
  EXPECT_EQ(number("0.1"), "0.1");
  EXPECT_EQ(number("123456789012345678901234567890"), "123456789012345678901234567890");
}

TEST(ValueTest, TheLastOfTwoMembersCounts) {
  auto value = parse_value(R"({"a":1,"b":2,"a":3,"c":4,"b":5})", "it");
  ASSERT_TRUE(value.has_value());
  EXPECT_EQ(value->keys, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(value->items[0].text, "3");
  EXPECT_EQ(value->items[1].text, "5");
  EXPECT_EQ(value->items[2].text, "4");
}

TEST(ValueTest, RefusesBrokenAndDeepTexts) {
  EXPECT_EQ(number("{\"a\":"), "it is not valid JSON at byte 6");
  EXPECT_EQ(number(""), "it is not valid JSON at byte 1");
  EXPECT_EQ(number("\"\xFF\""), "it is not valid JSON at byte 2");
  EXPECT_EQ(number("1e999").substr(0, 20), "it is not valid JSON");
  EXPECT_EQ(number(std::string(100000, '[')), "it is nested deeper than 64 levels");
}

TEST(UnicodeTest, TrimsUnicodeWhiteSpace) {
  EXPECT_EQ(trim(" \t\n\xC2\xA0"
                 "a b\xE2\x80\x83\xE3\x80\x80\x1F"),
            "a b");
  EXPECT_EQ(trim("\xE2\x80\x8B"), "\xE2\x80\x8B");  // zero width space stays
  EXPECT_EQ(trim(" \xFF "), "\xFF");
  EXPECT_EQ(trim("  "), "");
}

TEST(UnicodeTest, CaseOfAnyScript) {
  EXPECT_EQ(to_upper("string \xC3\xA4\xD0\xB1"), "STRING \xC3\x84\xD0\x91");
  EXPECT_EQ(to_lower("AbC \xC3\x84\xD0\x91\xFF"), "abc \xC3\xA4\xD0\xB1\xFF");
}

}  // namespace
}  // namespace preflight::text
