#include "client/http.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <grp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "client/api.h"
#include "client/http_parser.h"

namespace preflight::client {
namespace {

namespace fs = std::filesystem;

struct Parsed {
  Response response;
  bool done = false;
  std::string error;
};

// Feeds `bytes` in pieces of `piece` bytes.
Parsed parse(std::string_view bytes, std::size_t piece) {
  Parsed parsed;
  AnswerParser parser(parsed.response, [&](std::string_view body) {
    parsed.response.body += body;
    return true;
  });
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (!parser.feed(bytes.substr(at, piece))) break;
  }
  parsed.done = parser.done();
  parsed.error = parser.error();
  return parsed;
}

TEST(AnswerParser, ReadsABodyOfKnownLengthInPiecesOfAnySize) {
  const std::string_view answer =
      "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-LENGTH: "
      "7\r\n\r\n{\"a\":1}";
  for (std::size_t piece = 1; piece <= answer.size(); ++piece) {
    const Parsed parsed = parse(answer, piece);
    ASSERT_TRUE(parsed.done) << piece << parsed.error;
    EXPECT_EQ(parsed.response.status, 202);
    EXPECT_EQ(parsed.response.header("content-type"), "application/json");
    EXPECT_EQ(parsed.response.body, "{\"a\":1}");
  }
}

TEST(AnswerParser, JoinsChunksAndPassesOverInterimAnswersAndTrailers) {
  const std::string_view answer =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "4;x=y\r\nabcd\r\n0A\r\n0123456789\r\n0\r\nTrailer: t\r\n\r\n";
  for (std::size_t piece = 1; piece <= answer.size(); ++piece) {
    const Parsed parsed = parse(answer, piece);
    ASSERT_TRUE(parsed.done) << piece << parsed.error;
    EXPECT_EQ(parsed.response.body, "abcd0123456789");
  }
}

TEST(AnswerParser, RefusesWhatIsNotHttp) {
  const std::string head = "HTTP/1.1 200 OK\r\n";
  const std::string chunked = head + "Transfer-Encoding: chunked\r\n\r\n";
  for (const std::string& answer : {
           std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
           std::string("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\n"),
           std::string("HTTP/1.1 20 OK\r\n\r\n"),
           std::string("HTTP/1.1 2000 OK\r\n\r\n"),
           head + "no colon here\r\n\r\n",
           head + " folded: x\r\n\r\n",
           head + "\r\n",
           head + "Content-Length: -1\r\n\r\n",
           head + "Content-Length: 99999999999999999999\r\n\r\n",
           head + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
           head + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
           head + "Transfer-Encoding: gzip\r\n\r\n",
           head + "X: " + std::string(AnswerParser::kMaxHeadBytes, 'x') + "\r\n\r\n",
           chunked + "\r\n",
           chunked + "fffffffffffffffff\r\n",
       }) {
    const Parsed parsed = parse(answer, 7);
    EXPECT_FALSE(parsed.done) << answer;
    EXPECT_FALSE(parsed.error.empty()) << answer;
  }
  // These could still become an answer; they are none when the connection ends.
  for (const std::string& part : {std::string("SSH-2.0-OpenSSH_9.2\r\n"),
                                  std::string("HTTP/1.1 200 OK\n\n"), chunked + "2\r\nabc\r\n"}) {
    EXPECT_FALSE(parse(part, 7).done) << part;
  }
}

// What the client says, as a user who may not use the socket: the exit status of the failure, and
// its sentence in `said`.
int exit_without_permission(const fs::path& socket, std::string& said) {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    constexpr uid_t kNobody = 65534;
    if (::geteuid() == 0 &&
        (::setgroups(0, nullptr) != 0 || ::setgid(kNobody) != 0 || ::setuid(kNobody) != 0))
      ::_exit(99);
    Api api({.socket = socket,
             .interrupted = [] { return false; },
             .deadline = Api::Clock::time_point::max(),
             .on_absence = nullptr});
    const auto health = api.health();
    if (health.has_value()) ::_exit(0);
    const std::string& message = health.error().message;
    if (::write(ends[1], message.data(), message.size()) < 0) ::_exit(98);
    ::_exit(static_cast<int>(health.error().exit));
  }
  ::close(ends[1]);
  char buffer[1024];
  for (ssize_t n = 0; (n = ::read(ends[0], buffer, sizeof(buffer))) > 0;)
    said.append(buffer, static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(HttpClient, ASocketThatMayNotBeUsedIsNamedWithWhatToDo) {
  std::string name = (fs::temp_directory_path() / "preflight-socket-XXXXXX").string();
  ASSERT_NE(::mkdtemp(name.data()), nullptr);
  const fs::path folder = name;
  fs::permissions(folder, fs::perms(0755));
  const fs::path socket = folder / "s";
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket.native().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  // Root's socket of mode 0660 is closed to others; one's own has to be closed to oneself.
  fs::permissions(socket, fs::perms(::geteuid() == 0 ? 0660 : 0));
  std::string said;
  EXPECT_EQ(exit_without_permission(socket, said), static_cast<int>(Exit::kUnavailable));
  EXPECT_EQ(said,
            "you may not use " + socket.string() + ": ask to be added to the group that owns it");
  ::close(listener);
  fs::remove_all(folder);
}

// A peer that accepts one connection, reads `read_bytes` at least, sends its text and closes.
class Peer {
 public:
  Peer(std::string answer, std::size_t read_bytes, std::chrono::milliseconds linger = {})
      : path_(fs::temp_directory_path() / ("preflight-peer-" + std::to_string(::getpid()))) {
    fs::remove(path_);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.native().copy(address.sun_path, sizeof(address.sun_path) - 1);
    listener_ = ::socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_, 1), 0);
    thread_ = std::thread([this, answer = std::move(answer), read_bytes, linger] {
      const int fd = ::accept(listener_, nullptr, nullptr);
      char buffer[4096];
      while (received_.size() < read_bytes) {
        const ssize_t n = ::read(fd, buffer, sizeof(buffer));
        if (n <= 0) break;
        received_.append(buffer, static_cast<std::size_t>(n));
      }
      if (!answer.empty()) {
        EXPECT_EQ(::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL),
                  static_cast<ssize_t>(answer.size()));
      }
      std::this_thread::sleep_for(linger);
      ::close(fd);
    });
  }
  ~Peer() {
    join();
    ::close(listener_);
    fs::remove(path_);
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }
  const fs::path& path() const { return path_; }
  const std::string& received() const { return received_; }

 private:
  fs::path path_;
  int listener_ = -1;
  std::thread thread_;
  std::string received_;
};

HttpClient client_at(const fs::path& socket) {
  return HttpClient(socket, [] { return false; });
}

TEST(HttpClient, SendsTheRequestAndItsFilesAndReturnsTheAnswer) {
  const fs::path file =
      fs::temp_directory_path() / ("preflight-file-" + std::to_string(::getpid()));
  std::ofstream(file) << std::string(300'000, 'f');
  const std::size_t body_bytes = 4 + 300'000;
  Peer peer("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 40\r\nContent-Length: 2\r\n\r\nno",
            body_bytes);
  const auto response =
      client_at(peer.path())
          .exchange({.method = "POST",
                     .target = "/v1/reviews",
                     .headers = {{"Idempotency-Key", "k"}},
                     .body = {{.text = "text"}, {.file = file, .file_bytes = 300'000}}},
                    {});
  peer.join();
  fs::remove(file);
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->status, 429);
  EXPECT_EQ(response->header("retry-after"), "40");
  EXPECT_EQ(response->body, "no");
  EXPECT_TRUE(peer.received().starts_with("POST /v1/reviews HTTP/1.1\r\nHost: localhost\r\n"));
  EXPECT_NE(peer.received().find("\r\nContent-Length: 300004\r\n\r\ntextfff"), std::string::npos);
}

TEST(HttpClient, ReadsTheRefusalOfAnUploadThatIsNotTakenToItsEnd) {
  Peer peer("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno", 100);
  const auto response =
      client_at(peer.path())
          .exchange(
              {.method = "POST", .target = "/", .body = {{.text = std::string(64 << 20, 'x')}}},
              {});
  ASSERT_TRUE(response.has_value()) << response.error().message;
  EXPECT_EQ(response->status, 413);
}

TEST(HttpClient, TellsACutFromAnAnswer) {
  Peer peer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", 10);
  const auto response = client_at(peer.path()).exchange({.target = "/"}, {});
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().trouble, Trouble::kLost);
  EXPECT_TRUE(is_restart(response.error().trouble));
}

TEST(HttpClient, DoesNotWaitForeverForASilentPeer) {
  Peer peer("", 10, std::chrono::milliseconds(600));
  const auto response =
      client_at(peer.path()).exchange({.target = "/"}, {.idle = std::chrono::milliseconds(200)});
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().trouble, Trouble::kTimedOut);
}

TEST(HttpClient, StopsWhenInterrupted) {
  Peer peer("", 10, std::chrono::milliseconds(600));
  const HttpClient client(peer.path(), [] { return true; });
  const auto response = client.exchange({.target = "/"}, {});
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().trouble, Trouble::kInterrupted);
}

TEST(HttpClient, NamesAFileThatShrankWhileItWasSent) {
  const fs::path file =
      fs::temp_directory_path() / ("preflight-short-" + std::to_string(::getpid()));
  std::ofstream(file) << "abc";
  Peer peer("", 1000);
  const auto response =
      client_at(peer.path())
          .exchange({.method = "POST", .target = "/", .body = {{.file = file, .file_bytes = 2000}}},
                    {});
  fs::remove(file);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().trouble, Trouble::kFile);
  EXPECT_NE(response.error().message.find(file.string() + ": became 1997 bytes shorter"),
            std::string::npos);
}

TEST(HttpClient, DoesNotWaitForeverToBeTaken) {
  const fs::path path =
      fs::temp_directory_path() / ("preflight-full-" + std::to_string(::getpid()));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.native().copy(address.sun_path, sizeof(address.sun_path) - 1);
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_EQ(::bind(listener, name, sizeof(address)), 0);
  ASSERT_EQ(::listen(listener, 0), 0);
  std::vector<int> waiting;  // fill the backlog; nobody accepts
  do {
    waiting.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
  } while (::connect(waiting.back(), name, sizeof(address)) == 0);

  const auto response =
      client_at(path).exchange({.target = "/"}, {.idle = std::chrono::milliseconds(200)});
  for (const int fd : waiting) ::close(fd);
  ::close(listener);
  fs::remove(path);
  ASSERT_FALSE(response.has_value());
  EXPECT_EQ(response.error().trouble, Trouble::kTimedOut);
}

TEST(HttpClient, SaysWhyASocketCannotBeUsed) {
  const auto missing = client_at("/nonexistent/http.sock").exchange({.target = "/"}, {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().trouble, Trouble::kNoSocket);
  EXPECT_EQ(missing.error().message,
            "there is no socket /nonexistent/http.sock; is preflightd running?");

  const auto long_path = client_at(std::string(200, 'x')).exchange({.target = "/"}, {});
  ASSERT_FALSE(long_path.has_value());
  EXPECT_NE(long_path.error().message.find("at most 107"), std::string::npos);

  const fs::path plain =
      fs::temp_directory_path() / ("preflight-plain-" + std::to_string(::getpid()));
  std::ofstream(plain) << "";
  const auto nobody = client_at(plain).exchange({.target = "/"}, {});
  fs::remove(plain);
  ASSERT_FALSE(nobody.has_value());
  EXPECT_EQ(nobody.error().trouble, Trouble::kNobodyListens);
}

}  // namespace
}  // namespace preflight::client
