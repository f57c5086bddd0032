#include "daemon/review/fact_rows.h"

#include <string>

#include <gtest/gtest.h>

namespace preflight::review {
namespace {

using Json = nlohmann::json;

class FactRowsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto rules =
        load_rules(std::filesystem::path(PREFLIGHT_SOURCE) / "share/rules/placements.json");
    ASSERT_TRUE(rules) << rules.error().message;
    rules_ = *rules;
    bundle_.locale = "en-GB";
    bundle_.placements = {{"tiktok.infeed", {}}};
    asset_.id = "cut";
    asset_.role = protocol::Role::kVideo;
    asset_.path = "cut.mp4";
    media_.container = "mp4";
    media_.size_bytes = 2'000'000;
    media_.duration_s = 12.0;
    media_.decodes = true;
    media::VideoFacts video;
    video.codec = "h264";
    video.width = 1080;
    video.height = 1920;
    video.duration_s = 12.0;
    video.frames_per_s = 25;
    video.first_frame_black = false;
    video.letterbox = media::Letterbox{};
    media_.video = video;
    media::SoundFacts sound;
    sound.integrated_lufs = -15.0;
    sound.true_peak_dbtp = -2.0;
    sound.channels = 2;
    sound.channel_difference_lu = -0.5;
    media_.sound = sound;
  }

  Json rows() const {
    const AssetFacts facts{&asset_, media_, problem_};
    return rule_rows(bundle_, rules_, &asset_, to_string(asset_.role),
                     measure_asset(facts, rules_));
  }
  std::string result(std::string_view id) const {
    for (const Json& row : rows())
      if (row["id"] == id) return row["result"];
    return "no row";
  }

  RuleSet rules_;
  protocol::Bundle bundle_;
  protocol::Asset asset_;
  media::MediaFacts media_;
  std::string problem_;
};

TEST_F(FactRowsTest, AGoodVideoPasses) {
  for (const Json& row : rows()) {
    const std::string result = row["result"];
    EXPECT_TRUE(result == "pass" || result == "shown" || result == "not_measured") << row.dump();
    EXPECT_TRUE(row["source"].is_string() || row["result"] != "pass") << row.dump();
  }
  EXPECT_EQ(result("TT-SIZE-V"), "pass");
  EXPECT_EQ(result("TT-SIZE-H"), "no row");  // its condition is another shape
  EXPECT_EQ(result("TT-CODEC"), "shown");    // no verified value
  EXPECT_EQ(result("C-FLASH-RATE"), "not_measured");
}

TEST_F(FactRowsTest, PaceIsShownAndNeverJudged) {
  EXPECT_EQ(result("C-VID-CUTS3"), "shown");
  EXPECT_EQ(result("C-VID-FIRSTCUT"), "no row");  // nothing was cut
  media_.video->cuts = {{1.2, 40}, {2.9, 30}, {7.0, 50}};
  for (const Json& row : rows()) {
    if (row["id"] == "C-VID-FIRSTCUT") {
      EXPECT_EQ(row["measured"], 1.2);
    }
    if (row["id"] == "C-VID-CUTS3") {
      EXPECT_EQ(row["measured"], 2);
      EXPECT_EQ(row["text"], "video.cuts_first_3s is 2; no verified limit is known");
    }
  }
}

TEST_F(FactRowsTest, FaultsAreJudgedByTheRule) {
  media_.video->first_frame_black = true;
  media_.video->black = {{0, 1.5}, {3, 3.2}};
  media_.video->frozen = {{4, 7}};
  media_.video->width = 540;
  media_.video->height = 900;
  media_.video->letterbox = media::Letterbox{40, 40, 0, 0};
  media_.sound->clipped_runs = 3;
  media_.sound->integrated_lufs = -9;
  media_.sound->silences = {{0, 0.9}, {5, 7.5}};
  media_.size_bytes = 600'000'000;
  EXPECT_EQ(result("C-VID-FIRSTBLACK"), "fail");
  EXPECT_EQ(result("C-VID-BLACK"), "needs_human");
  EXPECT_EQ(result("C-VID-FREEZE"), "needs_human");
  EXPECT_EQ(result("TT-AR"), "fail");
  EXPECT_EQ(result("TT-BARS"), "fail");
  EXPECT_EQ(result("C-AUD-CLIP"), "fail");
  EXPECT_EQ(result("C-AUD-LOUD"), "fail");
  EXPECT_EQ(result("C-AUD-HEADSILENCE"), "fail");
  EXPECT_EQ(result("C-AUD-SILENCE"), "needs_human");
  EXPECT_EQ(result("TT-FSIZE"), "fail");
  EXPECT_EQ(result("TT-DUR-REC"), "pass");
  for (const Json& row : rows()) {
    if (row["id"] != "C-VID-BLACK") continue;
    EXPECT_EQ(row["evidence"][0]["t0"], 0.0);
    EXPECT_EQ(row["text"], "video.black_longest is 1.50 s, expected at most 1.00 s");
  }
}

TEST_F(FactRowsTest, NoSoundIsAFactOfItsOwn) {
  media_.sound.reset();
  EXPECT_EQ(result("TT-AUDIO"), "fail");
  EXPECT_EQ(result("C-AUD-CLIP"), "no row");
}

TEST_F(FactRowsTest, AFileThatDoesNotOpenGivesOneFailedRowForEveryRole) {
  problem_ = "cut.mp4 is not a video: it is text";
  for (const protocol::Role role :
       {protocol::Role::kVideo, protocol::Role::kVoiceover, protocol::Role::kProductImage,
        protocol::Role::kLandingPage, protocol::Role::kScript}) {
    asset_.role = role;
    const Json all = rows();
    ASSERT_EQ(all.size(), 1U) << to_string(role);
    EXPECT_EQ(all[0]["id"], "C-FILE-DECODES");
    EXPECT_EQ(all[0]["result"], "fail");
    EXPECT_NE(all[0]["text"].get<std::string>().find("it is text"), std::string::npos);
  }
}

TEST_F(FactRowsTest, LengthsOfCopyAreCodePoints) {
  bundle_.copy["primary_text"] = std::string("é") + std::string(99, 'x');
  const auto judge_copy = [&] {
    std::string out;
    for (const Json& row : rule_rows(bundle_, rules_, nullptr, "copy", measure_copy(bundle_)))
      out += row["id"].get<std::string>() + "=" + row["result"].get<std::string>() + " ";
    return out;
  };
  EXPECT_EQ(judge_copy(), "TT-CAPTION=pass TT-CAPTION-CHARS=pass ");
  bundle_.copy["primary_text"] += "#";
  EXPECT_EQ(judge_copy(), "TT-CAPTION=fail TT-CAPTION-CHARS=fail ");
}

TEST_F(FactRowsTest, ALengthThatTheBuyerChoosesNeedsTheChoice) {
  bundle_.placements = {{"youtube.instream.nonskip", {}}};
  media_.video->width = 1920;
  media_.video->height = 1080;
  std::string id;
  for (const Json& row : rows())
    if (row["op"] == "in_max") id = row["id"];
  ASSERT_FALSE(id.empty());
  EXPECT_EQ(result(id), "needs_human");
  bundle_.placements[0].max_duration_s = 15;
  EXPECT_EQ(result(id), "pass");
  bundle_.placements[0].max_duration_s = 10;
  EXPECT_NE(result(id), "pass");
}

TEST_F(FactRowsTest, CommonRowsStandOnceForManyPlacements) {
  bundle_.placements = {{"tiktok.infeed", {}}, {"meta.reels", {}}, {"youtube.shorts", {}}};
  int clip_rows = 0;
  for (const Json& row : rows()) clip_rows += row["id"] == "C-AUD-CLIP" ? 1 : 0;
  EXPECT_EQ(clip_rows, 1);
  asset_.placements = {"meta.reels"};
  for (const Json& row : rows())
    EXPECT_TRUE(row["placement"].is_null() || row["placement"] == "meta.reels") << row.dump();
}

TEST(AspectNameTest, NearShapesHaveTheirCommonName) {
  EXPECT_EQ(aspect_name(1080, 1920, 0.01), "9:16");
  EXPECT_EQ(aspect_name(1080, 1912, 0.01), "9:16");
  EXPECT_EQ(aspect_name(1000, 1920, 0.01), "25:48");
  EXPECT_EQ(aspect_name(0, 1, 0.01), "none");
}

}  // namespace
}  // namespace preflight::review
