#include "daemon/review/text_rows.h"

#include <string>

#include <gtest/gtest.h>

namespace preflight::review {
namespace {

using Json = nlohmann::json;

class TextRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto rules =
        load_rules(std::filesystem::path(PREFLIGHT_SOURCE) / "share/rules/placements.json");
    ASSERT_TRUE(rules) << rules.error().message;
    rules_ = *rules;
    auto reading =
        protocol::read_bundle(std::filesystem::path(PREFLIGHT_SOURCE) / "share/bundles/sample", {});
    ASSERT_TRUE(reading.usable());
    bundle_ = reading.bundle;
  }

  Json row(std::string_view id, std::string_view asset) const {
    for (const Json& row : text_rows(bundle_, rules_))
      if (row["id"] == id && (asset.empty() || row["asset"] == asset)) return row;
    return {};
  }

  std::vector<Clash> clashes(std::string_view text) const {
    std::size_t compared = 0;
    return find_clashes(said_values({"text", text, nullptr}, bundle_), offer_values(bundle_),
                        compared);
  }

  RuleSet rules_;
  protocol::Bundle bundle_;
};

TEST_F(TextRowsTest, TheSamplesFaultsAreFound) {
  const Json script = row("C-TXT-OFFER", "script");
  ASSERT_FALSE(script.is_null());
  EXPECT_EQ(script["result"], "fail");
  EXPECT_EQ(script["severity"], "blocker");
  const std::string text = script["text"];
  EXPECT_NE(text.find("script says £19, offer.price says GBP 24.00"), std::string::npos) << text;
  EXPECT_NE(text.find("script says 24 hours, CL1 says 12 hours"), std::string::npos) << text;
  EXPECT_EQ(script["evidence"][0]["line"], 2);
  EXPECT_EQ(row("C-TXT-OFFER", "copy.headline")["result"], "pass");
  const Json page = row("C-LP-OFFER", "page-text");
  EXPECT_EQ(page["result"], "fail");
  EXPECT_EQ(page["source"], "tt-misleading");
  const Json denied = row("C-CLAIM-DENY", "script");
  EXPECT_EQ(denied["result"], "fail");
  EXPECT_EQ(denied["evidence"][0]["quote"], "best bottle in the world");
  EXPECT_EQ(row("C-CLAIM-DENY", "page-text")["result"], "pass");
  EXPECT_EQ(row("C-DISCLOSE-TEXT", "")["result"], "needs_human");
}

TEST_F(TextRowsTest, WhatAgreesIsNoClash) {
  EXPECT_TRUE(clashes("£24.00 instead of £30, 20% off until 15 December").empty());
  EXPECT_TRUE(clashes("Save £6 today").empty());
  EXPECT_TRUE(clashes("100% steel, £5 delivery, returns within 30 days").empty());
  EXPECT_TRUE(clashes("Hot for 12 hours").empty());
  EXPECT_TRUE(clashes("no number at all").empty());
}

TEST_F(TextRowsTest, WhatDiffersIs) {
  EXPECT_EQ(clashes("only £2400").size(), 1U);
  EXPECT_EQ(clashes("25% off").size(), 1U);
  EXPECT_EQ(clashes("until 16 December").size(), 1U);
  EXPECT_EQ(clashes("stays hot 13 hours").size(), 1U);
}

TEST_F(TextRowsTest, ALandingPageThatIsOnlyAPictureIsNotJudged) {
  std::erase_if(bundle_.assets, [](const protocol::Asset& a) { return a.id == "page-text"; });
  const Json page = row("C-LP-OFFER", "page");
  EXPECT_EQ(page["result"], "not_measured");
  EXPECT_NE(page["text"].get<std::string>().find("is a picture"), std::string::npos);
}

TEST_F(TextRowsTest, WithoutAnOfferNothingIsCompared) {
  bundle_.offer.reset();
  EXPECT_TRUE(row("C-TXT-OFFER", "").is_null());
  EXPECT_TRUE(row("C-LP-OFFER", "").is_null());
}

}  // namespace
}  // namespace preflight::review
