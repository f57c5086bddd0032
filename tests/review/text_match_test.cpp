#include "daemon/review/text_match.h"

#include <string>

#include <gtest/gtest.h>

namespace preflight::review {
namespace {

constexpr std::string_view kScript =
    "Still hot at noon?\nThe Norda Flask keeps your coffee hot for 24 hours.\nNow only £19.";

TEST(TextMatchTest, QuotesAreFoundWhateverTheirMarks) {
  const QuoteMatch match = find_quote("keeps your “coffee”: HOT", kScript);
  EXPECT_DOUBLE_EQ(match.similarity, 1);
  EXPECT_EQ(match.line, 2U);
  EXPECT_TRUE(match.numbers_agree);
}

TEST(TextMatchTest, SmallSlipsAreNearAndInventionsAreFar) {
  EXPECT_GE(find_quote("keeps yuor coffe hot", kScript).similarity, 0.85);
  EXPECT_LT(find_quote("free helmet with every bike", kScript).similarity, 0.6);
  EXPECT_EQ(find_quote("", kScript).similarity, 0);
  EXPECT_EQ(find_quote("?!", kScript).similarity, 0);
  EXPECT_EQ(find_quote("hot", "").similarity, 0);
}

TEST(TextMatchTest, AnotherNumberIsAnotherStatement) {
  const QuoteMatch match = find_quote("keeps your coffee hot for 25 hours", kScript);
  EXPECT_GE(match.similarity, 0.85);
  EXPECT_FALSE(match.numbers_agree);
  EXPECT_FALSE(find_quote("Now only £1", kScript).numbers_agree);
  EXPECT_TRUE(find_quote("Now only £19", kScript).numbers_agree);
  EXPECT_FALSE(find_quote("The price is 1,299.00 now", "The price is 1,299.50 now").numbers_agree);
}

TEST(TextMatchTest, NumbersAreComparedAsValues) {
  const auto agree = [](std::string_view quote, std::string_view text) {
    return find_quote(quote, text).numbers_agree;
  };
  EXPECT_TRUE(agree("for only £24", "Yours for only £24.00 now"));
  EXPECT_TRUE(agree("for only £24.00", "Yours for only £24 now"));
  EXPECT_TRUE(agree("all for £1299", "all for £1,299"));
  EXPECT_FALSE(agree("for only £24", "Yours for only £24.50 now"));
  EXPECT_FALSE(agree("50 now and forever", "Yours for 24.50 now and forever"));
}

TEST(TextMatchTest, SimilarityIsSymmetricAndBounded) {
  EXPECT_DOUBLE_EQ(similarity("Hot at noon", "hot, at noon!"), 1);
  EXPECT_DOUBLE_EQ(similarity("abc", ""), 0);
  EXPECT_DOUBLE_EQ(similarity("kitten", "sitting"), similarity("sitting", "kitten"));
}

}  // namespace
}  // namespace preflight::review
