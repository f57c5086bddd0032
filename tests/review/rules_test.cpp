#include "daemon/review/rules.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>

#include "daemon/protocol/bundle.h"

namespace preflight::review {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

fs::path shipped() { return fs::path(PREFLIGHT_SOURCE) / "share/rules/placements.json"; }

class SpoiledRules : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "preflight-rules-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    auto text = protocol::read_small_file(shipped(), 1 << 24);
    ASSERT_TRUE(text);
    json_ = Json::parse(*text, nullptr, false);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string refusal() {
    const fs::path file = directory_ / "rules.json";
    std::ofstream(file) << json_.dump();
    const auto rules = load_rules(file);
    return rules ? "accepted" : rules.error().message.substr(file.string().size() + 2);
  }

  fs::path directory_;
  Json json_;
};

TEST(RulesTest, ShippedFileLoads) {
  const auto rules = load_rules(shipped());
  ASSERT_TRUE(rules) << rules.error().message;
  EXPECT_EQ(rules->placements.size(), 11U);
  EXPECT_EQ(rules->policies.size(), 18U);
  EXPECT_EQ(rules->placements.at("youtube.instream").hook_window_s, 5.0);
  EXPECT_EQ(rules->digest.size(), 64U);
}

TEST(RulesTest, AChildReplacesItsParentByFactAndOp) {
  const auto rules = load_rules(shipped());
  ASSERT_TRUE(rules);
  const Placement& child = rules->placements.at("tiktok.infeed.reservation");
  const auto bitrates = std::count_if(child.rules.begin(), child.rules.end(), [](const Rule& rule) {
    return rule.fact == "video.bitrate_total" && rule.op == "ge";
  });
  EXPECT_EQ(bitrates, 1);
  const auto rule = std::find_if(child.rules.begin(), child.rules.end(),
                                 [](const Rule& r) { return r.fact == "video.bitrate_total"; });
  EXPECT_EQ(rule->value, 2500);
  EXPECT_TRUE(std::any_of(child.rules.begin(), child.rules.end(),
                          [](const Rule& r) { return r.id == "TT-AUDIO"; }));
}

TEST_F(SpoiledRules, AreRefusedWithAPlace) {
  json_["common"][2]["op"] = "equals";
  EXPECT_EQ(refusal(),
            "/common/2/op: expected one of eq, in, not_contains, le, ge, between, min, near, "
            "in_max, found \"equals\"");
  json_["common"][2]["op"] = "between";
  EXPECT_EQ(refusal(), "/common/2/value: expected what \"between\" compares with, found false");
  json_["common"][2]["op"] = "eq";
  json_["common"][2]["source"] = "hearsay";
  EXPECT_EQ(refusal(), "/common/2/source: expected a name in /sources, found \"hearsay\"");
  json_["common"][2]["source"] = nullptr;
  EXPECT_EQ(refusal(),
            "/common/2/source: expected a source, as the rule has a value, found nothing");
  json_["common"][2]["source"] = "house";
  json_["common"][2]["severity"] = "fatal";
  EXPECT_EQ(refusal(),
            "/common/2/severity: expected blocker, major, minor, info or off, found \"fatal\"");
  json_["common"][2]["severity"] = "major";
  json_["placements"]["tiktok.infeed"]["inherits"] = "tiktok.infeed.reservation";
  EXPECT_EQ(refusal(), "/placements/tiktok.infeed/inherits: expected an end, found a circle");
  json_["placements"]["tiktok.infeed"].erase("inherits");
  EXPECT_EQ(refusal(), "accepted");
  json_["stale_after_days"] = "soon";
  EXPECT_EQ(refusal(), "/stale_after_days: expected a number from 1 to 36500, found \"soon\"");
  json_ = Json::parse("[1]");
  const auto list = refusal();
  EXPECT_EQ(list, "expected a JSON object, found none");
}

TEST_F(SpoiledRules, SeverityOffSwitchesARuleOff) {
  const auto before = load_rules(shipped());
  json_["common"][0]["severity"] = "off";
  const fs::path file = directory_ / "rules.json";
  std::ofstream(file) << json_.dump();
  const auto after = load_rules(file);
  ASSERT_TRUE(after) << after.error().message;
  EXPECT_EQ(after->common.size() + 1, before->common.size());
}

TEST(RulesTest, DatesGoOn) {
  EXPECT_EQ(date_after("2026-11-21", 120), "2027-03-21");
  EXPECT_EQ(date_after("2027-12-31", 1), "2028-01-01");
  EXPECT_EQ(date_after("soon", 1), "");
}

}  // namespace
}  // namespace preflight::review
