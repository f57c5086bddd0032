#include "daemon/review/checks.h"

#include <fstream>
#include <string>

#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"

namespace preflight::review {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

fs::path shipped() { return fs::path(PREFLIGHT_SOURCE) / "share/rules/checks.json"; }

TEST(ChecksTest, TheShippedFileNamesWhatThePersonOwns) {
  const auto checks = load_checks(shipped());
  ASSERT_TRUE(checks) << checks.error().message;
  EXPECT_EQ(checks->find("hook")->human_owns, "whether the offer is strategically right");
  EXPECT_EQ(checks->find("platform")->human_owns, "final media plan and spend allocation");
  EXPECT_EQ(checks->find("policy")->human_owns, "legal approval and escalation");
  EXPECT_EQ(checks->find("variants")->human_owns, "which variants to produce next");
  EXPECT_EQ(checks->find("audio")->human_owns, "final voice and brand taste");
  EXPECT_FALSE(checks->find("policy")->auto_pass);
  EXPECT_EQ(checks->limits.prefill_tokens, 10000U);
}

TEST(ChecksTest, ABadFileIsRefusedWithAPlace) {
  auto text = protocol::read_small_file(shipped(), 1 << 24);
  ASSERT_TRUE(text);
  std::string name = (fs::temp_directory_path() / "preflight-checks-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path file = fs::path(name) / "checks.json";
  const Json good = Json::parse(*text, nullptr, false);
  const auto refusal = [&](const char* pointer, const Json& value) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    std::ofstream(file) << json.dump();
    const auto checks = load_checks(file);
    return checks ? "accepted" : checks.error().message.substr(file.string().size() + 2);
  };
  EXPECT_EQ(refusal("/note", "x"), "accepted");
  EXPECT_EQ(refusal("/checks/0/questions/0/answers/no/verdict", "bad"),
            "/checks/0/questions/0/answers/no/verdict: expected pass, fail, needs_human or "
            "not_applicable, found \"bad\"");
  EXPECT_EQ(refusal("/checks/0/questions/0/answers/no/severity", 3),
            "/checks/0/questions/0/answers/no/severity: expected a string, found 3");
  EXPECT_EQ(refusal("/checks/1/questions/0/evidence", Json::array({"smell"})),
            "/checks/1/questions/0/evidence: expected kinds of evidence, found \"smell\"");
  EXPECT_EQ(refusal("/checks/1/facts/0/from", "huge"),
            "/checks/1/facts/0/from: expected a severity, found \"huge\"");
  EXPECT_EQ(refusal("/checks/1/facts", 1), "/checks/1/facts: expected a list of objects, found 1");
  EXPECT_TRUE(std::string(refusal("/checks/2/claims/wordings/0/pattern", "("))
                  .starts_with("/checks/2/claims/wordings/0/pattern: expected"));
  EXPECT_EQ(refusal("/checks/2/id", "hook"),
            "/checks: expected each of the five once, found 2 named \"hook\"");
  EXPECT_EQ(refusal("/limits/frames", 0),
            "/limits/frames: expected a number from 1 to 96, found 0");
  EXPECT_EQ(refusal("/prompts", 1), "/prompts: expected an object, found 1");
  EXPECT_EQ(refusal("/checks", Json::object()),
            "/checks: expected a list of checks, found nothing");
  std::ofstream(file) << "[";
  EXPECT_FALSE(load_checks(file));
  EXPECT_FALSE(load_checks(fs::path(name) / "none.json"));
  fs::remove_all(name);
}

TEST(ChecksTest, NeedsAreMetByOneOfTheirNames) {
  EXPECT_EQ(missing_need({"offer", "hook|script"}, {"offer", "script"}), "");
  EXPECT_EQ(missing_need({"offer", "hook|script"}, {"offer"}), "hook|script");
  EXPECT_TRUE(fact_matches("video.*", "video.size"));
  EXPECT_FALSE(fact_matches("video.*", "videos"));
  EXPECT_FALSE(fact_matches("video.size", "video.size2"));
}

}  // namespace
}  // namespace preflight::review
