#include "daemon/review/values.h"

#include <string>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace preflight::review {
namespace {

/// "price 2400 GBP", one for each value.
std::vector<std::string> read(std::string_view text, std::string_view locale = "en-GB",
                              std::string_view currency = "GBP") {
  std::vector<std::string> out;
  for (const Value& value : read_values(text, locale, currency)) {
    std::string line = fmt::format("{} {}", to_string(value.kind), value.amount);
    if (!value.currency.empty()) line += fmt::format(" {}", value.currency);
    if (!value.unit.empty()) line += fmt::format(" {}", value.unit);
    if (value.year != 0) line += fmt::format(" {}", value.year);
    out.push_back(line);
  }
  return out;
}

using Lines = std::vector<std::string>;

TEST(ValuesTest, PricesInTheWaysTheyAreWritten) {
  EXPECT_EQ(read("£24 or £1,299.00 or GBP 24.5 or 24 GBP"),
            (Lines{"price 2400 GBP", "price 129900 GBP", "price 2450 GBP", "price 2400 GBP"}));
  EXPECT_EQ(read("nur 1.299,00 € statt 24,50 EUR", "de-DE", "EUR"),
            (Lines{"price 129900 EUR", "price 2450 EUR"}));
  EXPECT_EQ(read("1 000", "de-DE", "EUR"), Lines{});
  EXPECT_EQ(read("$5, US$ 6", "en-CA", "CAD"), (Lines{"price 500 CAD", "price 600 USD"}));
  EXPECT_EQ(read("12\xc2\xa0€", "fr-FR", "EUR"), Lines{"price 1200 EUR"});
}

TEST(ValuesTest, PoundsAreMoneyOnlyWhereTheOfferIs) {
  EXPECT_EQ(read("now only 19 pounds"), Lines{"price 1900 GBP"});
  EXPECT_EQ(read("lose 19 pounds", "en-US", "USD"), Lines{});
}

TEST(ValuesTest, PercentagesDatesDurations) {
  EXPECT_EQ(read("20% off, 7.5 percent"), (Lines{"percentage 2000", "percentage 750"}));
  EXPECT_EQ(read("until 15 December 2027"), Lines{"date 1215 2027"});
  EXPECT_EQ(read("from the 1st of May"), Lines{"date 501"});
  EXPECT_EQ(read("ends December 15, 2027 or May 5"), (Lines{"date 1215 2027", "date 505"}));
  EXPECT_EQ(read("bis 15. Dezember", "de", "EUR"), Lines{"date 1215"});
  EXPECT_EQ(read("2027-12-15 and 15/12/2027 and 15.12.27"),
            (Lines{"date 1215 2027", "date 1215 2027", "date 1215 2027"}));
  EXPECT_EQ(read("12/15/2027", "en-US", "USD"), Lines{"date 1215 2027"});
  EXPECT_EQ(read("ready in 60 seconds, hot for 24h, 2 weeks"),
            (Lines{"duration 60 second", "duration 86400 hour", "duration 1209600 week"}));
}

TEST(ValuesTest, WhatIsNoValue) {
  EXPECT_EQ(read("the 80s, 3 markets, iPhone15 Pro, v2.0, may 5 people, 15 marathons"), Lines{});
  EXPECT_EQ(read("99/99/2027 31.31.2027"), Lines{});
  EXPECT_EQ(read("£99999999999999999999"), Lines{});
  EXPECT_EQ(read(std::string(5000, '9') + "%"), Lines{});
  EXPECT_EQ(read("£"), Lines{});
  EXPECT_EQ(read(""), Lines{});
}

TEST(ValuesTest, PlaceIsKept) {
  const auto values = read_values("one\nnow £19 only", "en-GB", "GBP");
  ASSERT_EQ(values.size(), 1U);
  EXPECT_EQ(values[0].line, 2U);
  EXPECT_EQ(values[0].quote, "£19");
}

TEST(ValuesTest, AgreementLeavesOpenWhatIsNotSaid) {
  const auto one = [](std::string_view text) { return read_values(text, "en-GB", "GBP").at(0); };
  EXPECT_TRUE(agree(one("15 December"), one("15 December 2027")));
  EXPECT_FALSE(agree(one("15 December 2026"), one("15 December 2027")));
  EXPECT_TRUE(agree(one("60 minutes"), one("1 hour")));
  EXPECT_FALSE(comparable(one("60 minutes"), one("2 hours")));
  EXPECT_FALSE(agree(one("£24"), one("€24")));
}

}  // namespace
}  // namespace preflight::review
