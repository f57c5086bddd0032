// What a killed daemon leaves behind and what the next one makes of it.

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/daemon/daemon_process.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;
using protocol::Event;
using protocol::ReviewState;

TEST(DaemonKill, HalfAnUploadLeavesNothing) {
  DaemonProcess daemon;
  daemon.start();
  const Connection connection(daemon.socket());
  const std::string body =
      multipart(text_bundle("b"), {{"a", std::string(1 << 20, 'x')}, {"b", "y"}});
  ASSERT_TRUE(connection.send("POST /v1/reviews HTTP/1.1\r\nHost: localhost\r\n" + kMultipartType +
                              "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
                              body.substr(0, body.size() / 2)));
  while (fs::is_empty(daemon.state() / "spool")) usleep(1000);
  daemon.end(SIGKILL);
  EXPECT_FALSE(fs::is_empty(daemon.state() / "spool"));
  daemon.start();
  EXPECT_TRUE(fs::is_empty(daemon.state() / "spool"));
  EXPECT_EQ(daemon.request("GET", "/v1/reviews").body, R"({"reviews":[]})");
}

TEST(DaemonKill, WhatWasTakenIsFinishedOnce) {
  for (const char* moment : {"started", "rows", "done"}) {
    SCOPED_TRACE(moment);
    DaemonProcess daemon;
    daemon.start();
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i) ids.push_back(daemon.review(text_bundle("b")));
    daemon.follow(ids[0], moment);
    daemon.end(SIGKILL);
    daemon.start();
    for (const std::string& id : ids) {
      const std::vector<Event> events = daemon.follow(id, "done");
      EXPECT_EQ(count(events, "done"), 1u);
      EXPECT_EQ(count(events, "started"), daemon.status(id).attempts);
      EXPECT_EQ(daemon.status(id).state, ReviewState::kDone);
    }
    while (!fs::is_empty(daemon.state() / "spool")) usleep(1000);
  }
}

TEST(DaemonKill, TheThirdDeathEndsTheReviewAndTheNextOneRuns) {
  DaemonProcess daemon;
  daemon.replace_settings(daemon.hanging_decoder());
  daemon.start();
  const std::string deadly = daemon.review(video_bundle("b1"), {{"cut.mp4", "x"}});
  const std::string harmless = daemon.review(text_bundle("b2"));
  std::uint64_t seen = 0;
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    const std::vector<Event> events = daemon.follow(deadly, "started", seen);
    ASSERT_EQ(events.back().data["attempt"], attempt);
    seen = events.back().seq;
    daemon.end(SIGKILL);
    daemon.start();
  }
  const auto status = daemon.status(deadly);
  EXPECT_EQ(status.state, ReviewState::kFailed);
  EXPECT_EQ(status.attempts, 3u);
  EXPECT_NE(status.reason.find("died 3 times"), std::string::npos) << status.reason;
  EXPECT_EQ(daemon.follow(deadly, "failed").back().name, "failed");
  EXPECT_FALSE(fs::exists(daemon.state() / "spool" / deadly));
  EXPECT_EQ(daemon.follow(harmless, "done").back().name, "done");
}

TEST(DaemonKill, AnOrderlyStopCostsNoAttempt) {
  DaemonProcess daemon;
  daemon.replace_settings(daemon.hanging_decoder());
  daemon.start();
  const std::string id = daemon.review(video_bundle("b"), {{"cut.mp4", "x"}});
  std::uint64_t seen = 0;
  for (int i = 0; i < 4; ++i) {
    const std::vector<Event> events = daemon.follow(id, "started", seen);
    ASSERT_EQ(events.back().data["attempt"], 1);
    seen = events.back().seq;
    const int status = daemon.end(SIGTERM);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    EXPECT_FALSE(fs::exists(daemon.socket()));
    daemon.start();
  }
}

TEST(DaemonKill, ACancelledReviewStaysCancelled) {
  DaemonProcess daemon;
  daemon.replace_settings(daemon.hanging_decoder());
  daemon.start();
  const std::string id = daemon.review(video_bundle("b"), {{"cut.mp4", "x"}});
  daemon.follow(id, "started");
  ASSERT_EQ(daemon.request("DELETE", "/v1/reviews/" + id).status, 200);
  daemon.end(SIGKILL);
  daemon.start();
  EXPECT_EQ(daemon.status(id).state, ReviewState::kCancelled);
}

TEST(DaemonKill, AListenerOfTheOldDaemonFindsTheRestAtTheNewOne) {
  DaemonProcess daemon;
  daemon.replace_settings(daemon.hanging_decoder());
  daemon.start();
  const std::string id = daemon.review(video_bundle("b"), {{"cut.mp4", "x"}});
  const std::vector<Event> before = daemon.follow(id, "started");
  daemon.end(SIGKILL);
  daemon.replace_settings("");  // a decoder that answers, or none: the review ends either way
  daemon.start();
  const std::vector<Event> after = daemon.follow(id, "done", before.back().seq);
  ASSERT_FALSE(after.empty());
  const auto again = std::find_if(after.begin(), after.end(),
                                  [](const Event& event) { return event.name == "started"; });
  ASSERT_NE(again, after.end());
  EXPECT_EQ(again->data["attempt"], 2);
  EXPECT_EQ(after.back().name, "done");
}

TEST(DaemonKill, ALostDatabaseLosesNoWaitingReview) {
  DaemonProcess daemon;
  daemon.replace_settings(daemon.hanging_decoder());
  daemon.start();
  const std::string running = daemon.review(video_bundle("b1"), {{"cut.mp4", "x"}});
  const std::string waiting = daemon.review(text_bundle("b2"));
  daemon.follow(running, "started");
  daemon.end(SIGKILL);
  fs::remove(daemon.state() / "preflight.db-wal");
  write_file(daemon.state() / "preflight.db", std::string(20'000, '\x5a'));
  daemon.replace_settings("");
  daemon.start();
  EXPECT_NE(daemon.request("GET", "/v1/health").json()["database"], "ok");
  for (const std::string& id : {running, waiting})
    EXPECT_EQ(daemon.follow(id, "done").back().name, "done");
}

}  // namespace
}  // namespace preflight::daemon
