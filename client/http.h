// HTTP/1.1 over a Unix socket, as much of it as qa-client needs: one request per connection, bodies
// streamed in both directions, every wait bounded. What the other side sends is parsed strictly.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

namespace preflight::client {

enum class Trouble {
  kNoSocket,       ///< the path does not exist
  kNotPermitted,   ///< it exists and this user may not use it
  kNobodyListens,  ///< it is a socket left over, or no socket at all
  kLost,           ///< connected, and then cut off before the answer was whole
  kTimedOut,
  kInterrupted,  ///< the caller's `interrupted` said so
  kBadAnswer,    ///< what came is not HTTP/1.1
  kFile,         ///< a file to be sent cannot be read, or changed meanwhile
};

struct HttpError {
  Trouble trouble = Trouble::kLost;
  std::string message;
};

/// What passes by itself when the daemon is started again.
constexpr bool is_restart(Trouble trouble) {
  return trouble == Trouble::kNoSocket || trouble == Trouble::kNobodyListens ||
         trouble == Trouble::kLost;
}

/// A stretch of a request's body: bytes in memory, or a file of a size known beforehand.
struct Piece {
  std::string text{};
  std::filesystem::path file{};  ///< empty: `text` is meant
  std::uint64_t file_bytes = 0;
};

struct Request {
  std::string method = "GET";
  std::string target{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::vector<Piece> body{};
};

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
  std::string body;
  /// Empty when there is no such header; `name` in lower case.
  [[nodiscard]] std::string_view header(std::string_view name) const;
};

struct Patience {
  std::chrono::milliseconds idle{30'000};  ///< longest wait for the next byte
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

class HttpClient {
 public:
  /// `interrupted` is asked a few times a second while waiting.
  HttpClient(std::filesystem::path socket, std::function<bool()> interrupted)
      : socket_(std::move(socket)), interrupted_(std::move(interrupted)) {}

  /// Sends the request and returns the whole answer, whatever its status; bodies up to 64 MiB.
  [[nodiscard]] tl::expected<Response, HttpError> exchange(const Request& request,
                                                           const Patience& patience) const;

  /// The same, but a body with status 200 goes to `sink` as it comes; the transfer ends early, and
  /// well, when that returns false.
  [[nodiscard]] tl::expected<Response, HttpError> stream(
      const Request& request, const Patience& patience,
      const std::function<bool(std::string_view)>& sink) const;

  [[nodiscard]] const std::filesystem::path& socket() const { return socket_; }

 private:
  std::filesystem::path socket_;
  std::function<bool()> interrupted_;
};

}  // namespace preflight::client
