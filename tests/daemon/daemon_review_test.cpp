// Reviews from upload to end, through the real daemon without a model.

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/daemon/daemon_process.h"

namespace preflight::daemon {
namespace {

namespace fs = std::filesystem;
using protocol::Event;
using protocol::ReviewState;

constexpr uid_t kNobody = 65534;

TEST(DaemonReview, GivesTheMeasuredRowsWithoutAModel) {
  DaemonProcess daemon;
  daemon.start();
  const std::string id = daemon.review(text_bundle("b-1"));
  const std::vector<Event> events = daemon.follow(id, "done");
  ASSERT_FALSE(events.empty());
  EXPECT_EQ(events.front().name, "started");
  EXPECT_EQ(count(events, "rows"), 1u);
  EXPECT_EQ(events.back().name, "done");
  const auto status = daemon.status(id);
  EXPECT_EQ(status.state, ReviewState::kDone);
  EXPECT_EQ(status.bundle_id, "b-1");
  EXPECT_EQ(status.report["schema"], "preflight.report/1");
  // Assets go when the review has ended: right after the end is on the disk.
  while (fs::exists(daemon.state() / "spool" / id)) usleep(1000);
  const Reply list = daemon.request("GET", "/v1/reviews");
  ASSERT_EQ(list.json()["reviews"].size(), 1u);
  EXPECT_FALSE(list.json()["reviews"][0].contains("report"));
}

TEST(DaemonReview, WhatIsTakenInIsNotTooLargeForItsReview) {
  DaemonProcess daemon("[bundle]\nmax_json_kib = 2048\n");
  daemon.start();
  const std::string id =
      daemon.review(text_bundle("large") + std::string(std::size_t{1500} << 10, ' '));
  daemon.follow(id, "done");
  EXPECT_EQ(daemon.status(id).state, protocol::ReviewState::kDone) << daemon.status(id).reason;
}

TEST(DaemonReview, TellsLateListenersEverythingAndOthersTheRest) {
  DaemonProcess daemon;
  daemon.start();
  const std::string id = daemon.review(text_bundle("b"));
  // Progress is not replayed.
  const auto follow = [&](std::uint64_t after) {
    std::vector<Event> events = daemon.follow(id, "done", after);
    std::erase_if(events, [](const Event& event) { return event.name == "prefill"; });
    return events;
  };
  const std::vector<Event> first = follow(0);
  const std::vector<Event> again = follow(0);
  ASSERT_EQ(again.size(), first.size());
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_EQ(again[i].seq, first[i].seq);
    EXPECT_EQ(again[i].data, first[i].data);
  }
  const std::vector<Event> rest = follow(first[0].seq);
  EXPECT_EQ(rest.size(), first.size() - 1);
  EXPECT_TRUE(follow(first.back().seq).empty());  // ends at once
  EXPECT_EQ(daemon.request("GET", "/v1/reviews/" + id + "/events", {"Last-Event-ID: x"}).status,
            400);
}

TEST(DaemonReview, TheSameKeyIsTheSameReview) {
  DaemonProcess daemon;
  daemon.start();
  const std::vector<std::string> key = {"Idempotency-Key: k-1"};
  const Reply first = daemon.post(text_bundle("b"), {{"a", "1"}, {"c", "2"}}, key);
  ASSERT_EQ(first.status, 202) << first.body;
  const Reply same = daemon.post(text_bundle("b"), {{"c", "2"}, {"a", "1"}}, key);
  EXPECT_EQ(same.status, 202);
  EXPECT_EQ(same.json()["id"], first.json()["id"]);
  const Reply other = daemon.post(text_bundle("b"), {{"a", "1"}, {"c", "3"}}, key);
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(other.code(), "idempotency_conflict");
  EXPECT_EQ(daemon.post(text_bundle("b"), {{"a", "1"}, {"c", "2"}}, key, "?facts_only=true").status,
            409);
  EXPECT_NE(daemon.review(text_bundle("b")), daemon.review(text_bundle("b")));
  EXPECT_EQ(daemon.request("GET", "/v1/reviews").json()["reviews"].size(), 3u);
}

TEST(DaemonReview, IsNobodyElsesBusiness) {
  DaemonProcess daemon("[socket]\ngroup = \"nogroup\"\n");
  daemon.start();
  const std::string id = daemon.review(text_bundle("b"));
  daemon.follow(id, "done");
  if (geteuid() != 0) return;  // only root can become somebody else
  EXPECT_EQ(daemon.request_as(kNobody, "GET", "/v1/models").status, 200);
  EXPECT_EQ(daemon.request_as(kNobody, "GET", "/v1/reviews").body, R"({"reviews":[]})");
  for (const char* method : {"GET", "DELETE"})
    EXPECT_EQ(daemon.request_as(kNobody, method, "/v1/reviews/" + id).status, 404);
  EXPECT_EQ(daemon.request_as(kNobody, "GET", "/v1/reviews/" + id + "/events").status, 404);
  EXPECT_EQ(daemon.status(id).state, ReviewState::kDone);
}

TEST(DaemonReview, CancelsWhatRunsAndWhatWaits) {
  DaemonProcess daemon;
  daemon.replace_settings(daemon.hanging_decoder());
  daemon.start();
  const std::string running = daemon.review(video_bundle("b1"), {{"cut.mp4", "x"}});
  const std::string waiting = daemon.review(video_bundle("b2"), {{"cut.mp4", "x"}});
  daemon.follow(running, "started");
  EXPECT_EQ(daemon.status(waiting).state, ReviewState::kQueued);
  EXPECT_EQ(daemon.status(waiting).ahead, 1u);

  EXPECT_EQ(daemon.request("DELETE", "/v1/reviews/" + waiting).status, 200);
  EXPECT_EQ(daemon.status(waiting).state, ReviewState::kCancelled);
  EXPECT_FALSE(fs::exists(daemon.state() / "spool" / waiting));

  EXPECT_EQ(daemon.request("DELETE", "/v1/reviews/" + running).status, 200);
  EXPECT_EQ(daemon.follow(running, "cancelled").back().name, "cancelled");
  EXPECT_EQ(daemon.status(running).state, ReviewState::kCancelled);
  EXPECT_EQ(daemon.request("DELETE", "/v1/reviews/" + running).status, 204);
  EXPECT_EQ(daemon.request("GET", "/v1/reviews/" + running).status, 404);
}

TEST(DaemonReview, AFullQueueSaysWhenToComeBack) {
  DaemonProcess daemon;
  daemon.replace_settings("[queue]\nmax_reviews_per_user = 2\n" + daemon.hanging_decoder());
  daemon.start();
  const std::vector<std::string> key = {"Idempotency-Key: first"};
  const Reply first = daemon.post(video_bundle("b"), {{"cut.mp4", "x"}}, key);
  ASSERT_EQ(first.status, 202);
  const std::string second = daemon.review(video_bundle("b"), {{"cut.mp4", "x"}});
  Reply refused = daemon.post(video_bundle("b"), {{"cut.mp4", "x"}});
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "queue_full");
  EXPECT_GE(std::stoi(refused.headers["retry-after"]), 1);
  // Who asks again for what was taken is answered, full or not.
  EXPECT_EQ(daemon.post(video_bundle("b"), {{"cut.mp4", "x"}}, key).json()["id"],
            first.json()["id"]);
  ASSERT_EQ(daemon.request("DELETE", "/v1/reviews/" + second).status, 200);
  EXPECT_EQ(daemon.post(video_bundle("b"), {{"cut.mp4", "x"}}).status, 202);
}

TEST(DaemonReview, AFullSpoolSaysWhenToComeBack) {
  DaemonProcess daemon;
  daemon.replace_settings("[spool]\nmax_mib_per_user = 1\n" + daemon.hanging_decoder());
  daemon.start();
  const std::string most(700'000, 'x');
  const std::string id = daemon.review(video_bundle("b"), {{"cut.mp4", most}});
  Reply refused = daemon.post(video_bundle("b"), {{"cut.mp4", most}});
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.code(), "spool_full");
  EXPECT_FALSE(refused.headers["retry-after"].empty());
  ASSERT_EQ(daemon.request("DELETE", "/v1/reviews/" + id).status, 200);
  daemon.follow(id, "cancelled");
  EXPECT_EQ(daemon.post(video_bundle("b"), {{"cut.mp4", most}}).status, 202);
}

TEST(DaemonReview, AFullDiskIsASentenceAndTheDaemonGoesOn) {
  DaemonProcess daemon;
  // A limit on file sizes is the full disk that a test can have for itself.
  daemon.start([] {
    const rlimit limit{4 << 20, 4 << 20};
    setrlimit(RLIMIT_FSIZE, &limit);
  });
  const Reply refused = daemon.post(text_bundle("b"), {{"a", std::string(5 << 20, 'x')}});
  EXPECT_EQ(refused.status, 507) << refused.body;
  EXPECT_EQ(refused.code(), "disk_full");
  EXPECT_TRUE(fs::is_empty(daemon.state() / "spool"));
  EXPECT_EQ(daemon.follow(daemon.review(text_bundle("b")), "done").back().name, "done");
}

TEST(DaemonReview, TakesAnUploadInCrumbs) {
  DaemonProcess daemon;
  daemon.start();
  const std::string body = multipart(text_bundle("b"), {{"x/y", "asset"}});
  const Connection connection(daemon.socket());
  ASSERT_TRUE(connection.send(
      "POST /v1/reviews HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + kMultipartType +
      "\r\nExpect: 100-continue\r\nTransfer-Encoding: "
      "chunked\r\n\r\n"));
  for (const char c : body) ASSERT_TRUE(connection.send(std::string("1\r\n") + c + "\r\n"));
  ASSERT_TRUE(connection.send("0\r\n\r\n"));
  const std::string answer = connection.receive_all();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n"));
  EXPECT_EQ(parse_reply(answer).status, 202) << answer;
}

TEST(DaemonReview, LogsNothingOfABundle) {
  DaemonProcess daemon;
  daemon.start();
  const std::string id = daemon.review(text_bundle("secretid"), {{"secretname", "secretcontent"}});
  daemon.follow(id, "done");
  daemon.post("secretjson");
  daemon.post(text_bundle("secretid"), {{"../secretpath", ""}});
  daemon.end(SIGTERM);
  EXPECT_EQ(daemon.log().find("secret"), std::string::npos) << daemon.log();
}

}  // namespace
}  // namespace preflight::daemon
