// Whole reviews through the daemon's own door: real files, the real decoder, a real (small) model
// on whatever device there is.
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "daemon/protocol/bundle.h"
#include "daemon/review/report.h"
#include "daemon/review_job.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

class ReviewerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "preflight-review-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    root_ = name;
    fs::create_directories(root_ / "work");
    fs::copy(fs::path(PREFLIGHT_SOURCE) / "share/bundles/sample", root_ / "bundle",
             fs::copy_options::recursive);
    settings_.rules_dir = fs::path(PREFLIGHT_SOURCE) / "share/rules";
    settings_.decoder = fs::path(PREFLIGHT_BIN) / "preflight-decode";
    settings_.cache_dir = root_ / "cache";
  }
  void TearDown() override { fs::remove_all(root_); }

  void start() {
    auto reviewer = make_reviewer(settings_);
    ASSERT_TRUE(reviewer) << reviewer.error().message;
    reviewer_ = std::move(*reviewer);
    reviewer_->start([] { return false; });
  }

  Result<Json> run(bool facts_only = false) {
    events_.clear();
    const ReviewInput input{root_ / "bundle", root_ / "work", facts_only};
    const ReviewEvents events{
        [this](const Json& event) { events_.push_back(event); },
        [this] { return cancel_after_ > 0 && static_cast<int>(events_.size()) >= cancel_after_; }};
    return reviewer_->run(input, events);
  }

  Json edit_bundle(const std::function<void(Json&)>& change) {
    auto text = protocol::read_small_file(root_ / "bundle/bundle.json", 1 << 20);
    EXPECT_TRUE(text);
    Json json = Json::parse(*text, nullptr, false);
    change(json);
    std::ofstream(root_ / "bundle/bundle.json") << json.dump(1);
    return json;
  }

  /// A small bundle out of the sample's assets.
  void keep_only(const std::set<std::string>& ids) {
    edit_bundle([&](Json& json) {
      Json kept = Json::array();
      for (const Json& asset : json["assets"])
        if (ids.contains(asset["id"].get<std::string>())) kept.push_back(asset);
      json["assets"] = kept;
    });
  }

  static std::set<std::string> failed(const Json& report) {
    std::set<std::string> out;
    for (const Json& fact : report["facts"])
      if (fact["result"] == "fail" || fact["result"] == "needs_human") out.insert(fact["id"]);
    return out;
  }

  void expect_valid(const Json& report) {
    const fs::path file = root_ / "report.json";
    std::ofstream(file) << report.dump(1);
    const std::string command = fmt::format(
        "/usr/bin/python3 {0}/tests/review/validate.py {0}/share/schema/report.schema.json {1}",
        PREFLIGHT_SOURCE, file.string());
    EXPECT_EQ(std::system(command.c_str()), 0);
    EXPECT_EQ(review::report_digest(report), report["report_digest"]);
  }

  /// What a repetition must give again: times and what the prefix cache saved may differ.
  static std::string without_times(Json report) {
    report["run"].erase("seconds");
    report["run"].erase("started");
    report["run"].erase("tokens");
    return report.dump();
  }

  fs::path root_;
  ReviewerSettings settings_;
  std::unique_ptr<Reviewer> reviewer_;
  std::vector<Json> events_;
  int cancel_after_ = 0;
};

TEST_F(ReviewerTest, TheSamplesPlantedFaultsAreMeasured) {
  start();
  const auto report = run(true);
  ASSERT_TRUE(report) << report.error().message;
  const std::set<std::string> found = failed(*report);
  for (const char* id : {"C-TXT-OFFER", "C-LP-OFFER", "C-VID-FIRSTBLACK", "C-AUD-HEADSILENCE",
                         "C-AUD-CLIP", "C-AUD-LOUD", "C-AUD-TP", "C-AUD-SILENCE", "TT-CAPTION",
                         "TT-CAPTION-CHARS", "C-DISCLOSE-TEXT", "C-CLAIM-DENY"})
    EXPECT_TRUE(found.contains(id)) << id;
  for (const char* id : {"TT-CONT", "TT-AR", "TT-SIZE-V", "TT-BITRATE", "TT-AUDIO",
                         "C-FILE-DECODES", "C-FILE-MAGIC"})
    EXPECT_FALSE(found.contains(id)) << id;
  ASSERT_EQ((*report)["rows"].size(), 5U);
  for (const Json& row : (*report)["rows"]) {
    EXPECT_EQ(row["verdict"], "not_checked");
    EXPECT_EQ(row["reason"], "measured rows only were asked for");
  }
  EXPECT_EQ((*report)["summary"]["verdict"], "fail");
  expect_valid(*report);
  // Measured rows come before any row of the model.
  const auto at = [&](const char* name) {
    return std::find_if(events_.begin(), events_.end(),
                        [&](const Json& event) { return event["event"] == name; });
  };
  EXPECT_LT(at("decoding"), at("rows"));
  EXPECT_LT(at("rows"), at("row"));
}

TEST_F(ReviewerTest, WithoutAModelTheReasonStandsInEveryRow) {
  settings_.model = root_ / "no-model.gguf";
  start();
  EXPECT_FALSE(reviewer_->health().loaded);
  EXPECT_FALSE(reviewer_->health().reason.empty());
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  for (const Json& row : (*report)["rows"]) {
    EXPECT_EQ(row["verdict"], "not_checked");
    EXPECT_TRUE(row["reason"].get<std::string>().starts_with("no model is loaded: "));
  }
  EXPECT_FALSE((*report)["facts"].empty());
  expect_valid(*report);
}

TEST_F(ReviewerTest, WrongAssetsAreRowsOfTheirOwnAndTheReviewGoesOn) {
  start();
  std::ofstream(root_ / "bundle/cut.mp4") << "this is no film at all, but a letter\n";
  std::ofstream(root_ / "bundle/voiceover.flac");
  fs::resize_file(root_ / "bundle/product.png", 200);
  fs::remove(root_ / "bundle/landing.png");
  edit_bundle([](Json& json) { json["assets"][5].erase("sha256"); });
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  std::map<std::string, std::string> sentences;
  for (const Json& fact : (*report)["facts"])
    if (fact["fact"] == "media.decodes" && fact["result"] == "fail")
      sentences[fact["asset"]] = fact["text"];
  EXPECT_EQ(sentences.size(), 4U);
  EXPECT_NE(sentences["cut"].find("text"), std::string::npos) << sentences["cut"];
  EXPECT_NE(sentences["page"].find("file not found"), std::string::npos) << sentences["page"];
  EXPECT_NE(sentences["vo"], "");
  EXPECT_NE(sentences["pack"], "");
  EXPECT_TRUE(failed(*report).contains("C-TXT-OFFER"));
  expect_valid(*report);
}

TEST_F(ReviewerTest, ABundleThatIsNoneIsRefusedInOneSentence) {
  start();
  edit_bundle([](Json& json) {
    json["placements"] = {"tiktok.infed"};
    json["locale"] = 7;
  });
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kInvalidInput);
  EXPECT_EQ(report.error().message,
            "the bundle cannot be reviewed: /locale: expected a string, found a number (B010); "
            "/placements/0: unknown placement \"tiktok.infed\" (B012)");
  std::ofstream(root_ / "bundle/bundle.json") << "nonsense";
  EXPECT_FALSE(run());
  fs::remove_all(root_ / "bundle");
  EXPECT_FALSE(run());
}

TEST_F(ReviewerTest, ACancelledReviewEnds) {
  start();
  cancel_after_ = 1;
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
}

TEST_F(ReviewerTest, BadRulesAreRefusedByName) {
  fs::create_directories(root_ / "rules");
  std::ofstream(root_ / "rules/placements.json") << "{}";
  settings_.rules_dir = root_ / "rules";
  const auto reviewer = make_reviewer(settings_);
  ASSERT_FALSE(reviewer);
  EXPECT_NE(reviewer.error().message.find("placements.json: /schema: expected a string"),
            std::string::npos)
      << reviewer.error().message;
  EXPECT_FALSE(check_rules(root_ / "rules"));
  EXPECT_TRUE(check_rules(fs::path(PREFLIGHT_SOURCE) / "share/rules"));
}

/// The whole way with a model of random weights: what it answers means nothing, but everything
/// around its answers must hold.
class ModelReviewTest : public ReviewerTest {
 protected:
  void SetUp() override {
    ReviewerTest::SetUp();
    settings_.model = fs::path(PREFLIGHT_TEST_DATA) / "golden/models/tiny";
    start();
    ASSERT_TRUE(reviewer_->health().loaded) << reviewer_->health().reason;
  }
};

TEST_F(ModelReviewTest, TheSampleIsReviewedWithinItsBudget) {
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  expect_valid(*report);
  ASSERT_EQ((*report)["rows"].size(), 5U);
  for (const Json& row : (*report)["rows"]) {
    EXPECT_NE(row["verdict"], "not_checked") << row.dump(1);
    EXPECT_NE(row["verdict"], "pass") << "random answers do not pass: " << row.dump(1);
  }
  const Json& tokens = (*report)["run"]["tokens"];
  EXPECT_LE(tokens["prefill"].get<int>(), 10000) << tokens.dump(1);
  EXPECT_LE(tokens["narrow_steps"].get<int>(), 350) << tokens.dump(1);
  EXPECT_GT(tokens["by_pass"]["look"]["prefill"].get<int>(), 2000);
  std::vector<std::string> kinds;
  for (const Json& event : events_)
    if (kinds.empty() || kinds.back() != event["event"]) kinds.push_back(event["event"]);
  EXPECT_EQ(kinds, (std::vector<std::string>{"decoding", "rows", "prefill", "row"}));
}

TEST_F(ModelReviewTest, TheSameBundleGivesTheSameReportHoweverItCameAbout) {
  keep_only({"script", "hook"});
  const auto report = run();
  ASSERT_TRUE(report) << report.error().message;
  std::map<std::string, std::string> verdicts;
  for (const Json& row : (*report)["rows"]) verdicts[row["id"]] = row["verdict"];
  EXPECT_EQ(verdicts["audio"], "not_checked");
  EXPECT_EQ(verdicts["platform"], "not_checked");
  EXPECT_NE(verdicts["policy"], "not_checked");
  expect_valid(*report);

  // From the kept passes: the same report without asking the model again.
  const auto resumed = run();
  ASSERT_TRUE(resumed);
  EXPECT_EQ(without_times(*resumed), without_times(*report));

  // A torn file of the last pass: the pass runs again, behind the one that is kept.
  std::ofstream(root_ / "work/judge.json") << "{\"key\":";
  const auto replayed = run();
  ASSERT_TRUE(replayed);
  EXPECT_EQ(without_times(*replayed), without_times(*report));

  // From nothing.
  fs::remove_all(root_ / "work");
  fs::create_directories(root_ / "work");
  const auto again = run();
  ASSERT_TRUE(again);
  EXPECT_EQ(without_times(*again), without_times(*report));
  // What the first review had read of set and frames was not read again.
  const Json& first = (*report)["run"]["tokens"];
  const Json& second = (*again)["run"]["tokens"];
  EXPECT_LT(second["prefill"], first["prefill"]);
  EXPECT_EQ(second["prefill"].get<int>() + second["prefix_cached"].get<int>(),
            first["prefill"].get<int>() + first["prefix_cached"].get<int>());
  EXPECT_EQ(second["generated"], first["generated"]);
  EXPECT_EQ(second["forced"], first["forced"]);
  EXPECT_GT(second["saved_steps"], 0);
  EXPECT_EQ(second["saved_steps"], first["saved_steps"]) << "forced text, drafts or not";
}

TEST_F(ModelReviewTest, ACancelledReviewLeavesTheReviewerUsable) {
  keep_only({"script", "hook"});
  cancel_after_ = 2;  // as soon as the model reads
  const auto report = run();
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kCancelled);
  cancel_after_ = 0;
  EXPECT_TRUE(run());
}

}  // namespace
}  // namespace preflight::daemon
