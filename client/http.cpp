#include "client/http.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include "client/http_parser.h"

namespace preflight::client {
namespace {

using Clock = std::chrono::steady_clock;
using Failed = tl::unexpected<HttpError>;

constexpr std::size_t kBufferBytes = 256 << 10;
constexpr std::size_t kMaxBodyBytes = std::size_t{64} << 20;
constexpr std::chrono::milliseconds kSlice{100};  // how soon an interruption is seen

Failed failed(Trouble trouble, std::string message) {
  return Failed(HttpError{trouble, std::move(message)});
}

std::string reason(int error) { return std::generic_category().message(error); }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

tl::expected<Descriptor, HttpError> connect_to(const std::filesystem::path& socket,
                                               const Patience& patience,
                                               const std::function<bool()>& interrupted) {
  const std::string& path = socket.native();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return failed(Trouble::kNoSocket,
                  fmt::format("\"{}\" cannot be a socket: its path has {} bytes, at most {} may be "
                              "used",
                              path, path.size(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (fd.get() < 0) return failed(Trouble::kLost, fmt::format("socket: {}", reason(errno)));
  int status = 0;
  const auto began = Clock::now();
  for (;;) {
    status = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    // EAGAIN: more clients wait to be taken than the daemon's backlog holds.
    if (status == 0 || (errno != EAGAIN && errno != EINTR)) break;
    if (interrupted()) return failed(Trouble::kInterrupted, "interrupted");
    const auto now = Clock::now();
    if (now >= patience.deadline || now - began >= patience.idle) {
      return failed(Trouble::kTimedOut, fmt::format("the daemon takes no connection on {}", path));
    }
    std::this_thread::sleep_for(kSlice);
  }
  if (status != 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      return failed(Trouble::kNoSocket,
                    fmt::format("there is no socket {}; is preflightd running?", path));
    }
    if (error == EACCES || error == EPERM) {
      return failed(
          Trouble::kNotPermitted,
          fmt::format("you may not use {}: ask to be added to the group that owns it", path));
    }
    if (error == ECONNREFUSED) {
      return failed(Trouble::kNobodyListens,
                    fmt::format("nobody listens on {}; is preflightd running?", path));
    }
    return failed(Trouble::kLost, fmt::format("cannot connect to {}: {}", path, reason(error)));
  }
  return fd;
}

// One request and its answer on a connection of its own.
class Transfer {
 public:
  Transfer(int fd, const Patience& patience, const std::function<bool()>& interrupted,
           AnswerParser& parser)
      : fd_(fd),
        patience_(patience),
        interrupted_(interrupted),
        parser_(parser),
        buffer_(std::make_unique<char[]>(kBufferBytes)) {}

  // Sends `bytes`. An answer that comes before all is sent ends the sending: the daemon refused.
  tl::expected<void, HttpError> send(std::string_view bytes) {
    while (!bytes.empty() && !answered_) {
      auto ready = wait(POLLIN | POLLOUT);
      if (!ready.has_value()) return Failed(std::move(ready).error());
      if ((ready.value() & POLLIN) != 0) {
        answered_ = true;
        break;
      }
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n >= 0) {
        bytes.remove_prefix(static_cast<std::size_t>(n));
      } else if (errno == EPIPE || errno == ECONNRESET) {
        answered_ = true;  // closed for us; what was said before may still be read
      } else if (errno != EAGAIN && errno != EINTR) {
        return failed(Trouble::kLost, fmt::format("sending broke off: {}", reason(errno)));
      }
    }
    return {};
  }

  tl::expected<void, HttpError> send_file(const Piece& piece) {
    const std::string& path = piece.file.native();
    Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    if (file.get() < 0) {
      return failed(Trouble::kFile, fmt::format("{}: {}", path, reason(errno)));
    }
    std::uint64_t left = piece.file_bytes;
    const auto chunk = std::make_unique<char[]>(kBufferBytes);
    while (left > 0 && !answered_) {
      const std::size_t want = std::min<std::uint64_t>(left, kBufferBytes);
      const ssize_t n = ::read(file.get(), chunk.get(), want);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return failed(Trouble::kFile, fmt::format("{}: {}", path, reason(errno)));
      if (n == 0) {
        return failed(Trouble::kFile,
                      fmt::format("{}: became {} bytes shorter while it was sent", path, left));
      }
      left -= static_cast<std::uint64_t>(n);
      auto sent = send({chunk.get(), static_cast<std::size_t>(n)});
      if (!sent.has_value()) return sent;
    }
    return {};
  }

  tl::expected<void, HttpError> receive() {
    while (!parser_.done()) {
      auto ready = wait(POLLIN);
      if (!ready.has_value()) return Failed(std::move(ready).error());
      const ssize_t n = ::recv(fd_, buffer_.get(), kBufferBytes, 0);
      if (n > 0) {
        if (!parser_.feed({buffer_.get(), static_cast<std::size_t>(n)})) {
          return failed(Trouble::kBadAnswer, "the daemon's answer has " + parser_.error());
        }
      } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        return failed(Trouble::kLost,
                      "the daemon closed the connection before its answer was whole");
      }
    }
    return {};
  }

 private:
  tl::expected<int, HttpError> wait(short events) {
    const auto began = Clock::now();
    for (;;) {
      pollfd entry{.fd = fd_, .events = events, .revents = 0};
      const int n = ::poll(&entry, 1, static_cast<int>(kSlice.count()));
      if (n > 0) return entry.revents;
      if (n < 0 && errno != EINTR) {
        return failed(Trouble::kLost, fmt::format("poll: {}", reason(errno)));
      }
      if (interrupted_()) return failed(Trouble::kInterrupted, "interrupted");
      const auto now = Clock::now();
      if (now >= patience_.deadline) return failed(Trouble::kTimedOut, "the time allowed is over");
      if (now - began >= patience_.idle) {
        return failed(Trouble::kTimedOut,
                      fmt::format("the daemon was silent for {} s", patience_.idle.count() / 1000));
      }
    }
  }

  int fd_;
  const Patience& patience_;
  const std::function<bool()>& interrupted_;
  AnswerParser& parser_;
  std::unique_ptr<char[]> buffer_;
  bool answered_ = false;
};

std::string head_of(const Request& request) {
  std::string head = fmt::format("{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n",
                                 request.method, request.target);
  for (const auto& [name, value] : request.headers) head += fmt::format("{}: {}\r\n", name, value);
  std::uint64_t body_bytes = 0;
  for (const Piece& piece : request.body) {
    body_bytes += piece.file.empty() ? piece.text.size() : piece.file_bytes;
  }
  if (!request.body.empty()) head += fmt::format("Content-Length: {}\r\n", body_bytes);
  return head + "\r\n";
}

}  // namespace

tl::expected<Response, HttpError> HttpClient::stream(
    const Request& request, const Patience& patience,
    const std::function<bool(std::string_view)>& sink) const {
  Response response;
  bool too_long = false;
  AnswerParser parser(response, [&](std::string_view bytes) {
    if (response.status == 200 && sink) return sink(bytes);
    response.body += bytes;
    too_long = response.body.size() > kMaxBodyBytes;
    return !too_long;
  });

  auto fd = connect_to(socket_, patience, interrupted_);
  if (!fd.has_value()) return Failed(std::move(fd).error());
  Transfer transfer(fd->get(), patience, interrupted_, parser);
  auto moved = transfer.send(head_of(request));
  for (const Piece& piece : request.body) {
    if (!moved.has_value()) break;
    moved = piece.file.empty() ? transfer.send(piece.text) : transfer.send_file(piece);
  }
  if (moved.has_value()) moved = transfer.receive();
  if (!moved.has_value()) return Failed(std::move(moved).error());
  if (too_long) {
    return failed(Trouble::kBadAnswer,
                  fmt::format("the daemon's answer has more than {} bytes", kMaxBodyBytes));
  }
  return response;
}

tl::expected<Response, HttpError> HttpClient::exchange(const Request& request,
                                                       const Patience& patience) const {
  return stream(request, patience, nullptr);
}

}  // namespace preflight::client
