#include "engine/generate/number_range.h"

#include <cmath>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace preflight::generate {
namespace {

// All texts that the range's automaton can complete.
void collect(const NumberRange& range, const NumberState& state, const std::string& text,
             std::set<std::string>& found) {
  ASSERT_LE(text.size(), longest_number_chars(range)) << text;
  if (is_number(range, state)) found.insert(text);
  bool goes_on = false;
  for (const char byte : std::string_view("0123456789.-+eE ,]\"")) {
    NumberState next = state;
    if (!step_number(range, next, static_cast<std::uint8_t>(byte))) continue;
    goes_on = true;
    collect(range, next, text + byte, found);
  }
  ASSERT_EQ(goes_on, can_continue(range, state)) << text;
  ASSERT_TRUE(goes_on || is_number(range, state)) << "no way on after " << text;
}

// The canonical text of `units` times 10^-decimals.
std::string canonical(std::int64_t units, unsigned decimals) {
  std::int64_t scale = 1;
  for (unsigned i = 0; i < decimals; ++i) scale *= 10;
  const std::int64_t size = std::abs(units);
  std::string text = fmt::format("{}{}", units < 0 ? "-" : "", size / scale);
  if (size % scale != 0) {
    text += fmt::format(".{:0{}}", size % scale, decimals);
    while (text.back() == '0') text.pop_back();
  }
  return text;
}

TEST(NumberRange, WritesEveryNumberOnceAndNoOther) {
  const std::int64_t ends[] = {-1234, -1000, -999, -101, -100, -99, -11, -10, -9,   -1,  0,
                               1,     9,     10,   11,   99,   100, 101, 999, 1000, 1234};
  for (std::uint8_t decimals = 0; decimals <= 3; ++decimals) {
    for (const std::int64_t low : ends) {
      for (const std::int64_t high : ends) {
        if (low > high) continue;
        const NumberRange range{.low = low, .high = high, .decimals = decimals};
        std::set<std::string> expected;
        for (std::int64_t units = low; units <= high; ++units) {
          expected.insert(canonical(units, decimals));
        }
        std::set<std::string> found;
        collect(range, {}, "", found);
        ASSERT_EQ(found, expected) << low << ".." << high << " with " << int{decimals};
      }
    }
  }
}

TEST(NumberRange, HoldsAtTheLargestLimits) {
  const auto reads = [](const NumberRange& range, const std::string& text) {
    NumberState state;
    for (const char c : text) {
      if (!step_number(range, state, static_cast<std::uint8_t>(c))) return false;
    }
    return is_number(range, state);
  };
  const std::int64_t most = (std::int64_t{1} << 53) - 1;
  const NumberRange integers{.low = -most, .high = most, .decimals = 0};
  EXPECT_TRUE(reads(integers, "9007199254740991"));
  EXPECT_TRUE(reads(integers, "-9007199254740991"));
  EXPECT_FALSE(reads(integers, "9007199254740992"));
  EXPECT_FALSE(reads(integers, "90071992547409910"));
  EXPECT_FALSE(reads(integers, "-9007199254740992"));
  const NumberRange decimals{
      .low = -999'999'999'999'999, .high = 999'999'999'999'999, .decimals = 9};
  EXPECT_TRUE(reads(decimals, "999999.999999999"));
  EXPECT_TRUE(reads(decimals, "-0.000000001"));
  EXPECT_FALSE(reads(decimals, "1000000"));
  EXPECT_FALSE(reads(decimals, "0.0000000001"));
  EXPECT_FALSE(reads(decimals, "-0"));
  EXPECT_FALSE(reads(decimals, "00"));
  EXPECT_FALSE(reads(decimals, "1.0"));
  EXPECT_FALSE(reads(decimals, "1e5"));
  EXPECT_FALSE(reads(decimals, "+1"));
}

}  // namespace
}  // namespace preflight::generate
