// qa-client against the real daemon without a model: measured rows, and what survives kill -9.
#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <thread>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/client/program.h"

namespace preflight::client {
namespace {

using nlohmann::json;

const std::string kSample = PREFLIGHT_SOURCE "/share/bundles/sample";

class DaemonTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(folder_ / "preflight.toml") << "";
    std::filesystem::create_directory(folder_ / "state");
    start_daemon();
  }

  void start_daemon() {
    daemon_.reset();
    daemon_ = std::make_unique<Program>(
        folder_.path(), "daemon",
        std::vector<std::string>{PREFLIGHT_BIN "/preflightd", "--config",
                                 (folder_ / "preflight.toml").string(), "--socket", socket(),
                                 "--state", (folder_ / "state").string()});
    for (int i = 0; i < 500 && qa_client({"list"}).first != 0; ++i) {
      ASSERT_TRUE(daemon_->running()) << daemon_->err();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  std::string socket() const { return (folder_ / "http.sock").string(); }

  std::vector<std::string> command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {PREFLIGHT_BIN "/qa-client", "--socket", socket()});
    return arguments;
  }

  std::pair<int, std::string> qa_client(const std::vector<std::string>& arguments) const {
    Program program(folder_.path(), "client", command(arguments));
    const int status = program.wait();
    return {status, program.out()};
  }

  Folder folder_;
  std::unique_ptr<Program> daemon_;
};

TEST_F(DaemonTest, SaysThatThereIsNoModel) {
  const auto [status, out] = qa_client({"health", "--json"});
  EXPECT_EQ(status, 4);
  const json health = json::parse(out, nullptr, false);
  ASSERT_TRUE(health.is_object()) << out;
  EXPECT_EQ(health["status"], "degraded");
  EXPECT_FALSE(health["reason"].get<std::string>().empty());
}

TEST_F(DaemonTest, GivesTheMeasuredRowsOfTheSample) {
  Program review(
      folder_.path(), "review",
      command({"review", kSample, "--facts-only", "--out", (folder_ / "r.json").string()}));
  // The sample has planted faults, so the measured rows fail.
  EXPECT_EQ(review.wait(), 1) << review.err();
  EXPECT_NE(review.err().find("measured rows"), std::string::npos) << review.err();
  EXPECT_NE(review.out().find("Human still owns"), std::string::npos) << review.out();
  std::ifstream in(folder_ / "r.json");
  const json report = json::parse(in, nullptr, false);
  EXPECT_EQ(report.value("schema", ""), "preflight.report/1");

  const auto [status, listed] = qa_client({"list", "--json"});
  const json list = json::parse(listed, nullptr, false);
  ASSERT_EQ(list["reviews"].size(), 1u) << listed;
  const auto id = list["reviews"][0]["id"].get<std::string>();
  EXPECT_EQ(json::parse(qa_client({"show", id, "--json"}).second, nullptr, false), report);
  EXPECT_EQ(qa_client({"cancel", id}).first, 0);
  EXPECT_EQ(qa_client({"show", id}).first, 0) << "cancel leaves a finished review alone";
  EXPECT_EQ(qa_client({"cancel", id, "--delete"}).first, 0);
  EXPECT_EQ(qa_client({"show", id}).first, 2);
}

TEST_F(DaemonTest, ABundleThatOnlyTheDaemonCanRefuseIsStatusTwo) {
  std::ofstream(folder_ / "rules.json") << R"({"placements": {"nowhere.feed": {}}})";
  Program review(folder_.path(), "review",
                 command({"review", "--hook", "x", "--id", "a", "--placement", "nowhere.feed",
                          "--rules", (folder_ / "rules.json").string()}));
  EXPECT_EQ(review.wait(), 2) << review.err();
  EXPECT_NE(review.err().find("unknown placement \"nowhere.feed\""), std::string::npos)
      << review.err();
}

TEST_F(DaemonTest, PrintsTheTableThoughTheDaemonIsKilledMeanwhile) {
  // At three moments: while it is queued or opened, and later in the decoding.
  for (const int wait_ms : {0, 200, 600}) {
    Program review(folder_.path(), "review", command({"review", kSample, "--facts-only"}));
    ASSERT_TRUE(review.says("review 0")) << review.err();
    std::this_thread::sleep_for(std::chrono::milliseconds(wait_ms));
    daemon_->signal(SIGKILL);
    EXPECT_EQ(daemon_->wait(), 128 + SIGKILL);
    start_daemon();
    EXPECT_EQ(review.wait(), 1) << review.err();
    EXPECT_NE(review.out().find("Human still owns"), std::string::npos) << review.err();
  }
  const json list = json::parse(qa_client({"list", "--json"}).second, nullptr, false);
  ASSERT_EQ(list["reviews"].size(), 3u) << "each was taken once";
  for (const json& review : list["reviews"]) EXPECT_EQ(review["state"], "done") << review.dump();
}

TEST_F(DaemonTest, InterruptedClientCancelsItsReview) {
  Program review(folder_.path(), "review", command({"review", kSample, "--facts-only"}));
  ASSERT_TRUE(review.says("review 0")) << review.err();
  review.signal(SIGINT);
  EXPECT_EQ(review.wait(), 6) << review.err();
  EXPECT_NE(review.err().find("interrupted"), std::string::npos);
}

}  // namespace
}  // namespace preflight::client
