// What the socket takes and refuses, by raw requests to the real daemon.

#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "daemon/protocol/health.h"
#include "tests/daemon/daemon_process.h"

namespace preflight::daemon {
namespace {

Reply raw(const DaemonProcess& daemon, const std::string& bytes) {
  const Connection connection(daemon.socket());
  static_cast<void>(connection.send(bytes));
  return parse_reply(connection.receive_all());
}

TEST(DaemonHttp, SaysHowItIs) {
  DaemonProcess daemon;
  daemon.start();
  const Reply reply = daemon.request("GET", "/v1/health");
  EXPECT_EQ(reply.status, 503);  // no model: never green
  const auto health = protocol::parse_health(reply.body);
  ASSERT_TRUE(health) << health.error().message;
  EXPECT_NE(health->status, "ok");
  EXPECT_FALSE(health->reason.empty());
  EXPECT_EQ(health->database, "ok");
  EXPECT_EQ(health->queue.limit, 64u);
  EXPECT_GT(health->spool.free_disk_bytes, 0u);
  EXPECT_EQ(daemon.request("GET", "/v1/models").body, R"({"models":[]})");
  EXPECT_EQ(daemon.request("GET", "/v1/reviews").body, R"({"reviews":[]})");
}

TEST(DaemonHttp, IsNotGreenWithoutTheDecoder) {
  DaemonProcess daemon("[decoder]\nprogram = \"/nonexistent/decode\"\n");
  daemon.start();
  const auto health = protocol::parse_health(daemon.request("GET", "/v1/health").body);
  ASSERT_TRUE(health) << health.error().message;
  EXPECT_EQ(health->status, "degraded");
  EXPECT_NE(health->reason.find("/nonexistent/decode"), std::string::npos) << health->reason;
}

TEST(DaemonHttp, KnowsItsPathsAndMethods) {
  DaemonProcess daemon;
  daemon.start();
  const std::string id(26, '0');
  const auto expect = [&](const char* method, const std::string& path, int status,
                          const std::string& code) {
    const Reply reply = daemon.request(method, path);
    EXPECT_EQ(reply.status, status) << method << " " << path;
    EXPECT_EQ(reply.code(), code) << method << " " << path;
  };
  expect("GET", "/", 404, "not_found");
  expect("GET", "/v1/reviewsx", 404, "not_found");
  expect("GET", "/v1/reviews/", 404, "not_found");
  expect("GET", "/v1/reviews/../../etc/passwd", 404, "not_found");
  expect("GET", "/v1/reviews/" + id, 404, "not_found");
  expect("GET", "/v1/reviews/" + id + "/events", 404, "not_found");
  expect("DELETE", "/v1/reviews/" + id, 404, "not_found");
  expect("POST", "/v1/health", 405, "bad_method");
  expect("DELETE", "/v1/reviews", 405, "bad_method");
  expect("PUT", "/v1/reviews/" + id, 405, "bad_method");
  expect("POST", "/v1/reviews", 400, "bad_multipart");
  expect("GET", "http://localhost/v1/health", 400, "bad_request");
  EXPECT_EQ(daemon.request("GET", "/v1/health", {}, "body").status, 400);
  EXPECT_EQ(daemon.request("PUT", "/v1/reviews/" + id).headers["allow"], "GET, DELETE");
}

TEST(DaemonHttp, RefusesWhatNoClientOfOursSends) {
  DaemonProcess daemon;
  daemon.start();
  const std::string head = "GET /v1/health HTTP/1.1\r\nConnection: close\r\n";
  EXPECT_EQ(raw(daemon, head + "Host: localhost:80\r\n\r\n").status, 503);  // an answer
  EXPECT_EQ(raw(daemon, head + "Host:\r\n\r\n").status, 503);
  EXPECT_EQ(raw(daemon, head + "Host: evil.example\r\n\r\n").status, 403);
  EXPECT_EQ(raw(daemon, head + "Host: localhost\r\nOrigin: http://localhost\r\n\r\n").status, 403);
  EXPECT_EQ(raw(daemon, "GET /v1/health HTTP/1.0\r\n\r\n").status, 505);
  EXPECT_EQ(raw(daemon, "hello\r\n\r\n").status, 400);
  EXPECT_EQ(raw(daemon, std::string("\x16\x03\x01\x02\x00", 5) + "\r\n\r\n").status, 400);
  const std::string post =
      "POST /v1/reviews HTTP/1.1\r\nHost: localhost\r\n" + kMultipartType + "\r\n";
  EXPECT_EQ(
      raw(daemon, post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").status,
      400);
  EXPECT_EQ(raw(daemon, post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n").status, 501);
  EXPECT_EQ(raw(daemon, post + "Content-Length: -5\r\n\r\n").status, 400);
  // What stands behind a refused header is no request.
  const Reply one = raw(daemon, post + "Transfer-Encoding: gzip\r\n\r\nGET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(one.status, 501);
  EXPECT_TRUE(one.json().is_object()) << one.body;
  EXPECT_EQ(raw(daemon, post + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef").status, 400);
  EXPECT_EQ(daemon.request("GET", "/v1/health").status, 503);
}

TEST(DaemonHttp, BoundsTheHeader) {
  DaemonProcess daemon;
  daemon.start();
  EXPECT_EQ(daemon.request("GET", "/v1/health", {"X: " + std::string(9'000, 'x')}).status, 431);
  EXPECT_EQ(daemon.request("GET", "/" + std::string(9'000, 'x')).status, 431);
  EXPECT_EQ(daemon.request("GET", "/v1/health", std::vector<std::string>(70, "X: y")).status, 431);
  EXPECT_EQ(daemon.request("GET", "/v1/health", std::vector<std::string>(60, "X: y")).status, 503);
}

TEST(DaemonHttp, BoundsTheBody) {
  DaemonProcess daemon("[bundle]\nmax_mib = 1\nmax_files = 3\nmax_json_kib = 1\n");
  daemon.start();
  const std::string large(3 << 20, 'x');
  Reply reply = daemon.post(text_bundle("b"), {{"a", large}});
  EXPECT_EQ(reply.status, 413) << reply.body;
  EXPECT_EQ(reply.json()["error"]["field"], "bundle.max_mib");

  // The same without a length beforehand: the count is what refuses it.
  const Connection connection(daemon.socket());
  ASSERT_TRUE(connection.send("POST /v1/reviews HTTP/1.1\r\nHost: localhost\r\n" + kMultipartType +
                              "\r\nTransfer-Encoding: chunked\r\n\r\n"));
  const std::string body = multipart(text_bundle("b"), {{"a", large}});
  char size[32];
  std::snprintf(size, sizeof(size), "%zx\r\n", body.size());
  static_cast<void>(connection.send(size + body + "\r\n0\r\n\r\n"));
  EXPECT_EQ(parse_reply(connection.receive_all()).status, 413);

  EXPECT_EQ(daemon.post(text_bundle("b"), {{"a", ""}, {"b", ""}, {"c", ""}}).status, 413);
  EXPECT_EQ(daemon.post("{\"x\":\"" + std::string(2'000, 'x') + "\"}").status, 413);
  EXPECT_EQ(daemon.request("GET", "/v1/reviews").body, R"({"reviews":[]})");
}

TEST(DaemonHttp, RefusesUploadsThatAreNoBundle) {
  DaemonProcess daemon;
  daemon.start();
  EXPECT_EQ(daemon.post("not json").code(), "bad_bundle");
  EXPECT_EQ(daemon.post("[]").code(), "bad_bundle");
  EXPECT_EQ(daemon.post(text_bundle("b"), {{"../x", ""}}).code(), "bad_path");
  EXPECT_EQ(daemon.post(text_bundle("b"), {{"a", ""}, {"A", ""}}).code(), "bad_path");
  EXPECT_EQ(daemon.post(text_bundle("b"), {}, {"Idempotency-Key: a b"}).code(), "bad_request");
  EXPECT_EQ(daemon.post(text_bundle("b"), {}, {"Idempotency-Key:"}).code(), "bad_request");
  EXPECT_EQ(daemon.post(text_bundle("b"), {}, {}, "?facts=yes").code(), "bad_request");
  EXPECT_EQ(daemon.request("POST", "/v1/reviews", {"Content-Type: application/json"}, "{}").code(),
            "bad_multipart");
  EXPECT_EQ(daemon.request("POST", "/v1/reviews", {kMultipartType}, "no multipart").code(),
            "bad_multipart");
  EXPECT_EQ(daemon.request("GET", "/v1/reviews").body, R"({"reviews":[]})");
  EXPECT_TRUE(std::filesystem::is_empty(daemon.state() / "spool"));
}

TEST(DaemonHttp, KeepsAConnectionForTheNextRequest) {
  DaemonProcess daemon;
  daemon.start();
  const Connection connection(daemon.socket());
  const std::string get = "GET /v1/models HTTP/1.1\r\nHost: localhost\r\n";
  ASSERT_TRUE(connection.send(get + "\r\n" + get + "\r\n" + get + "Connection: close\r\n\r\n"));
  const std::string all = connection.receive_all();
  std::size_t n_answers = 0;
  for (std::size_t at = 0; (at = all.find("HTTP/1.1 200", at)) != std::string::npos; ++at)
    ++n_answers;
  EXPECT_EQ(n_answers, 3u);
}

TEST(DaemonHttp, SlowClientsAreShedAndHinderNobody) {
  DaemonProcess daemon("[http]\nconnections_per_user = 200\nheader_deadline_s = 2\n");
  daemon.start();
  std::vector<std::unique_ptr<Connection>> slow;
  for (int i = 0; i < 100; ++i) {
    slow.push_back(std::make_unique<Connection>(daemon.socket()));
    ASSERT_TRUE(slow.back()->send("GET /v1/hea"));
  }
  EXPECT_EQ(daemon.request("GET", "/v1/models").status, 200);
  for (const auto& connection : slow) {
    const std::string last_words = connection->receive_all();  // returns: the daemon hung up
    EXPECT_TRUE(last_words.empty() || parse_reply(last_words).status == 408);
  }
  EXPECT_EQ(daemon.request("GET", "/v1/models").status, 200);
}

TEST(DaemonHttp, ASlowUploadIsGivenUp) {
  DaemonProcess daemon("[http]\nidle_deadline_s = 1\n");
  daemon.start();
  const Connection connection(daemon.socket());
  ASSERT_TRUE(connection.send("POST /v1/reviews HTTP/1.1\r\nHost: localhost\r\n" + kMultipartType +
                              "\r\nContent-Length: 100000\r\n\r\n--limit\r\n"));
  EXPECT_EQ(parse_reply(connection.receive_all()).status, 408);
  EXPECT_TRUE(std::filesystem::is_empty(daemon.state() / "spool"));
}

TEST(DaemonHttp, BoundsTheConnectionsOfOneUser) {
  DaemonProcess daemon("[http]\nconnections_per_user = 4\nheader_deadline_s = 60\n");
  daemon.start();
  std::vector<std::unique_ptr<Connection>> held;
  for (int i = 0; i < 4; ++i) {
    held.push_back(std::make_unique<Connection>(daemon.socket()));
    ASSERT_TRUE(held.back()->send("GET"));
  }
  const Reply refused = daemon.request("GET", "/v1/models");
  EXPECT_EQ(refused.status, 503);
  EXPECT_EQ(refused.code(), "too_many_connections");
  held.clear();
  while (daemon.request("GET", "/v1/models").status == 503) usleep(1000);
  EXPECT_EQ(daemon.request("GET", "/v1/models").status, 200);
}

}  // namespace
}  // namespace preflight::daemon
