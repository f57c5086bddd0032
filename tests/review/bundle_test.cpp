#include "daemon/protocol/bundle.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/pattern.h"
#include "daemon/protocol/sha256.h"

namespace preflight::protocol {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

/// A copy of the sample bundle that a test may spoil.
class BundleTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "preflight-bundle-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
    fs::copy(fs::path(PREFLIGHT_SOURCE) / "share/bundles/sample", directory_,
             fs::copy_options::recursive);
    auto text = read_small_file(directory_ / "bundle.json", 1 << 20);
    ASSERT_TRUE(text) << text.error();
    json_ = Json::parse(*text, nullptr, false);
    auto names = read_placement_names(fs::path(PREFLIGHT_SOURCE) / "share/rules/placements.json");
    ASSERT_TRUE(names) << names.error();
    options_.known_placements = *names;
    options_.today = "2026-11-21";
  }
  void TearDown() override { fs::remove_all(directory_); }

  BundleReading read() {
    std::ofstream(directory_ / "bundle.json") << json_.dump(1);
    return read_bundle(directory_, options_);
  }

  static const Problem* find(const std::vector<Problem>& problems, std::string_view code,
                             std::string_view pointer) {
    const auto found = std::find_if(problems.begin(), problems.end(), [&](const Problem& p) {
      return p.code == code && p.pointer == pointer;
    });
    return found == problems.end() ? nullptr : &*found;
  }

  static std::string list(const Problems& problems) {
    std::string out;
    for (const Problem& p : problems.errors)
      out += p.code + " " + p.pointer + " " + p.message + " (" + p.hint + ")\n";
    for (const Problem& p : problems.warnings) out += p.code + " " + p.pointer + " warning\n";
    return out;
  }

  fs::path directory_;
  Json json_;
  BundleOptions options_;
};

TEST_F(BundleTest, SampleHasNoProblem) {
  const BundleReading reading = read();
  EXPECT_TRUE(reading.problems.errors.empty()) << list(reading.problems);
  EXPECT_TRUE(reading.problems.warnings.empty()) << list(reading.problems);
  const Bundle& bundle = reading.bundle;
  EXPECT_EQ(bundle.id, "norda-flask-v01");
  ASSERT_TRUE(bundle.offer);
  EXPECT_EQ(bundle.offer->price, "24.00");
  EXPECT_EQ(bundle.deny.at(0).is_regex, true);
  EXPECT_EQ(bundle.guardrails.pronounce.at(0).say, "NOR-dah");
  ASSERT_NE(bundle.first(Role::kLandingPage), nullptr);
  EXPECT_TRUE(bundle.first(Role::kLandingPage)->third_party);
  EXPECT_EQ(bundle.all(Role::kLandingPage).size(), 2U);
  EXPECT_EQ(bundle.first(Role::kScript)->text->substr(0, 18), "Still hot at noon?");
  EXPECT_EQ(bundle.digest.size(), 64U);
}

TEST_F(BundleTest, DigestFollowsEveryAsset) {
  const std::string before = read().bundle.digest;
  EXPECT_EQ(read().bundle.digest, before);
  std::ofstream(directory_ / "script.txt", std::ios::app) << "!";
  EXPECT_NE(read().bundle.digest, before);
}

TEST_F(BundleTest, AllProblemsAreReportedAtOnceByPointer) {
  json_["placements"] =
      Json::array({"tiktok.infeed", "meta.reel",
                   Json{{"id", "youtube.shorts"}, {"options", {{"max_duration_s", "15"}}}}});
  json_["locale"] = "english please";
  json_["product_class"] = "healt";
  json_["offer"]["ends"] = "2026-02-30";
  json_["offer"]["price"] = "£24";
  json_["claims"]["deny"][0]["pattern"] = "best (in";
  json_["claims"]["deny"][1]["id"] = "DN1";
  json_["assets"][2]["role"] = "scrpt";
  json_["assets"][3]["path"] = "hook.txt";
  json_["assets"][5]["path"] = "missing.mp4";
  json_["assets"][4]["sha256"] = std::string(64, 'a');
  json_["heading"] = "x";
  json_["copy"]["headlin"] = "x";
  const BundleReading reading = read();
  const auto& errors = reading.problems.errors;
  const auto has = [&](std::string_view code, std::string_view pointer) {
    return find(errors, code, pointer) != nullptr;
  };
  EXPECT_TRUE(has("B012", "/placements/1")) << list(reading.problems);
  EXPECT_EQ(find(errors, "B012", "/placements/1")->hint, "did you mean meta.reels?");
  EXPECT_TRUE(has("B010", "/placements/2/options/max_duration_s"));
  EXPECT_TRUE(has("B014", "/locale"));
  EXPECT_EQ(find(errors, "B013", "/product_class")->hint, "did you mean health?");
  EXPECT_TRUE(has("B014", "/offer/ends"));
  EXPECT_TRUE(has("B014", "/offer/price"));
  EXPECT_TRUE(has("B031", "/claims/deny/0/pattern"));
  EXPECT_TRUE(has("B030", "/claims/deny/1/id"));
  EXPECT_EQ(find(errors, "B013", "/assets/2/role")->hint, "did you mean script?");
  EXPECT_TRUE(has("B020", "/assets/3"));
  EXPECT_TRUE(has("B021", "/assets/5/path"));
  EXPECT_TRUE(has("B024", "/assets/4/sha256"));
  const Problem* typo = find(reading.problems.warnings, "B101", "/copy/headlin");
  ASSERT_NE(typo, nullptr);
  EXPECT_EQ(typo->hint, "did you mean headline?");
  EXPECT_NE(find(reading.problems.warnings, "B101", "/heading"), nullptr);
  EXPECT_FALSE(reading.usable());
}

TEST_F(BundleTest, AssetProblemsLeaveTheBundleUsable) {
  fs::remove(directory_ / "cut.mp4");
  std::ofstream(directory_ / "script.txt") << "\xff\xfe nothing";
  const BundleReading reading = read();
  const Problem* missing = find(reading.problems.errors, "B021", "/assets/5/path");
  ASSERT_NE(missing, nullptr) << list(reading.problems);
  EXPECT_EQ(missing->asset, 5);
  EXPECT_NE(find(reading.problems.errors, "B028", "/assets/2/path"), nullptr);
  EXPECT_TRUE(reading.usable());
}

TEST_F(BundleTest, PathsStayInsideAndLinksAreRefused) {
  json_["assets"][0]["path"] = "../brief.md";
  json_["assets"][1]["path"] = "/etc/passwd";
  fs::create_symlink("/etc/hostname", directory_ / "outside.txt");
  json_["assets"][2]["path"] = "outside.txt";
  fs::create_directory_symlink("/usr", directory_ / "folder");
  json_["assets"][5]["path"] = "folder/share/x.mp4";
  const BundleReading reading = read();
  const auto& errors = reading.problems.errors;
  EXPECT_NE(find(errors, "B022", "/assets/0/path"), nullptr) << list(reading.problems);
  EXPECT_NE(find(errors, "B022", "/assets/1/path"), nullptr);
  EXPECT_NE(find(errors, "B023", "/assets/2/path"), nullptr);
  EXPECT_NE(find(errors, "B023", "/assets/5/path"), nullptr);
  EXPECT_FALSE(reading.usable());
}

TEST_F(BundleTest, StrayFilesAreSeen) {
  std::ofstream(directory_ / "notes.txt") << "x";
  std::ofstream(directory_ / "CUT.mp4") << "x";
  fs::create_symlink("cut.mp4", directory_ / "alias");
  ASSERT_EQ(::mkfifo((directory_ / "pipe").c_str(), 0600), 0);
  const BundleReading reading = read();
  EXPECT_NE(find(reading.problems.warnings, "B103", ""), nullptr);
  EXPECT_NE(find(reading.problems.errors, "B006", ""), nullptr) << list(reading.problems);
  EXPECT_EQ(std::count_if(reading.problems.errors.begin(), reading.problems.errors.end(),
                          [](const Problem& p) { return p.code == "B004"; }),
            2);
}

TEST_F(BundleTest, ANamedPipeAsAssetDoesNotHoldUp) {
  ASSERT_EQ(::mkfifo((directory_ / "pipe.mp4").c_str(), 0600), 0);
  json_["assets"][5]["path"] = "pipe.mp4";
  const BundleReading reading = read();
  EXPECT_NE(find(reading.problems.errors, "B044", "/assets/5/path"), nullptr)
      << list(reading.problems);
}

TEST_F(BundleTest, WhatIsNoBundle) {
  const auto code = [&](std::string_view text) {
    std::ofstream(directory_ / "bundle.json") << text;
    const BundleReading reading = read_bundle(directory_, options_);
    EXPECT_FALSE(reading.usable());
    return reading.problems.errors.at(0).code + ": " + reading.problems.errors.at(0).message;
  };
  EXPECT_EQ(code("{\n \"schema\": 1,,}"), "B002: bundle.json is not JSON: line 2, byte 16");
  EXPECT_EQ(code("").substr(0, 4), "B002");
  EXPECT_EQ(code("[]").substr(0, 4), "B003");
  EXPECT_EQ(code("{}").substr(0, 4), "B011");
  EXPECT_EQ(code("{\"assets\":[1,[],null],\"placements\":{},\"offer\":7,\"claims\":{\"deny\":[4]}}")
                .substr(0, 4),
            "B011");
  EXPECT_EQ(code(std::string(100000, '[')).substr(0, 4), "B002");
  const std::string deep = std::string(100000, '[') + std::string(100000, ']');
  EXPECT_EQ(code("{\"x\":" + deep + "}"),
            "B002: bundle.json has more than 64 lists and objects inside of one another");
  EXPECT_TRUE(nests_too_deep(deep));
  EXPECT_FALSE(nests_too_deep("{\"a\":\"" + deep + "\\\"[\"}"));
  EXPECT_EQ(code("{\"id\":\"\xff\"}").substr(0, 4), "B002");
  fs::remove(directory_ / "bundle.json");
  EXPECT_EQ(read_bundle(directory_, options_).problems.errors.at(0).code, "B001");
  EXPECT_EQ(read_bundle(directory_ / "none", options_).problems.errors.at(0).code, "B001");
}

TEST_F(BundleTest, LimitsAreNamed) {
  options_.limits.text_bytes = 10;
  options_.limits.files = 3;
  options_.limits.assets = 4;
  options_.limits.list_entries = 1;
  const BundleReading reading = read();
  const auto& errors = reading.problems.errors;
  EXPECT_NE(find(errors, "B043", "/assets"), nullptr) << list(reading.problems);
  EXPECT_NE(find(errors, "B043", "/claims/deny"), nullptr);
  EXPECT_NE(find(errors, "B046", ""), nullptr);
  const Problem* text = find(errors, "B044", "/assets/0/path");
  ASSERT_NE(text, nullptr);
  EXPECT_NE(text->message.find("more than 10 bytes"), std::string::npos);
}

TEST_F(BundleTest, NoOfferIsAWarningAndAPastDateToo) {
  json_["offer"]["ends"] = "2026-01-01";
  EXPECT_NE(find(read().problems.warnings, "B104", "/offer/ends"), nullptr);
  json_.erase("offer");
  const BundleReading reading = read();
  EXPECT_NE(find(reading.problems.warnings, "B105", "/offer"), nullptr);
  EXPECT_TRUE(reading.usable());
  EXPECT_FALSE(reading.bundle.offer);
}

TEST_F(BundleTest, OneScriptForEachPlacement) {
  Json second = json_["assets"][2];
  second["id"] = "script2";
  json_["assets"].push_back(second);
  EXPECT_NE(find(read().problems.errors, "B025", "/assets/9/role"), nullptr);
  json_["placements"].push_back("youtube.shorts");
  json_["assets"][2]["placements"] = {"tiktok.infeed"};
  json_["assets"][9]["placements"] = {"youtube.shorts"};
  EXPECT_TRUE(read().problems.errors.empty()) << list(read().problems);
  json_["assets"][9]["placements"] = {"youtube.bumper"};
  EXPECT_NE(find(read().problems.errors, "B027", "/assets/9/placements/0"), nullptr);
}

TEST(PatternTest, LiteralsMatchAtWordBordersInAnyCase) {
  auto pattern = Pattern::compile("burns fat", false);
  ASSERT_TRUE(pattern);
  EXPECT_TRUE(pattern->find("It Burns FAT fast"));
  EXPECT_FALSE(pattern->find("sunburns fats"));
  auto regex = Pattern::compile("\\b(no\\.? ?1|best in the world)\\b", true);
  ASSERT_TRUE(regex);
  EXPECT_TRUE(regex->find("we are No.1 here"));
  const auto match = regex->find("the best in the world");
  ASSERT_TRUE(match);
  EXPECT_EQ(match->begin, 4U);
  EXPECT_EQ(match->end, 21U);
}

TEST(PatternTest, TakesLinearTimeAndRefusesWhatDoesNotCompile) {
  auto slow = Pattern::compile("(a*)*b", true);
  ASSERT_TRUE(slow);
  EXPECT_FALSE(slow->find(std::string(20000, 'a')));
  EXPECT_FALSE(Pattern::compile("(", true));
  EXPECT_FALSE(Pattern::compile("(?=x)", true));
  EXPECT_FALSE(Pattern::compile("a{1000}{1000}", true));
  EXPECT_FALSE(Pattern::compile("", false));
  EXPECT_FALSE(Pattern::compile(std::string(600, 'x'), false));
}

TEST(Sha256Test, PublishedVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  Sha256 pieces;
  for (int i = 0; i < 1000; ++i) pieces.update(std::string(1000, 'a'));
  EXPECT_EQ(pieces.finish(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(DateTest, CalendarDaysOnly) {
  EXPECT_TRUE(is_date("2028-02-29"));
  EXPECT_FALSE(is_date("2027-02-29"));
  EXPECT_FALSE(is_date("2027-13-01"));
  EXPECT_FALSE(is_date("2027-1-01"));
  EXPECT_FALSE(is_date("tomorrow!!"));
}

}  // namespace
}  // namespace preflight::protocol
