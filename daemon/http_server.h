// HTTP/1.1 on a Unix socket: connections, deadlines and limits. What the routes mean is the
// handler's business (routes.h); how bytes become requests is only known here.
//
// One thread runs every connection as a coroutine and never waits for the disk: the handler, the
// body sinks and the event feeds are called on a small pool of worker threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <sys/types.h>

#include "vk/error.h"

namespace preflight::daemon {

struct HttpRequest {
  std::string method;
  std::string path;                            ///< without the query; not percent-decoded
  std::string query;                           ///< what stands behind "?"
  std::map<std::string, std::string> headers;  ///< names in lower case
  uid_t uid = 0;                               ///< of the process that connected (SO_PEERCRED)
  std::optional<std::uint64_t> body_bytes;     ///< Content-Length; none for a chunked body
  bool has_body = false;
};

struct HttpResponse {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Takes a request's body. Destroyed without finish(): the request broke off.
class BodySink {
 public:
  virtual ~BodySink() = default;
  /// The next bytes; an answer means that the rest is not wanted.
  virtual std::optional<HttpResponse> write(std::string_view bytes) = 0;
  virtual HttpResponse finish() = 0;
};

/// A stream of server-sent events. The server pulls, so a slow reader holds nothing up and no queue
/// grows: what it has not read stays where the feed takes it from.
class EventFeed {
 public:
  virtual ~EventFeed() = default;
  struct Page {
    std::vector<std::string> events;  ///< each ready for the wire; empty: nothing new
    bool last = false;                ///< the stream ends after these
  };
  virtual Result<Page> next() = 0;
  /// `wake` may be called from any thread until the feed is destroyed: there is something new.
  virtual void wake_by(std::function<void()> wake) = 0;
};

using HttpAnswer =
    std::variant<HttpResponse, std::unique_ptr<BodySink>, std::unique_ptr<EventFeed>>;

class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  /// Called on several worker threads at once, after the header. A sink only if has_body.
  virtual HttpAnswer handle(const HttpRequest& request) = 0;
};

struct HttpLimits {
  std::uint32_t header_bytes = 8 << 10;
  std::uint32_t header_fields = 64;
  std::chrono::milliseconds header_deadline{5'000};
  std::chrono::milliseconds idle_deadline{10'000};   ///< between two pieces of a body
  std::chrono::milliseconds write_deadline{10'000};  ///< per answer or event
  std::chrono::milliseconds ping_interval{15'000};
  std::chrono::milliseconds request_deadline{3'600'000};  ///< a whole upload
  std::uint64_t min_body_bytes_per_s = 64 << 10;          ///< averaged over idle_deadline
  std::uint32_t connections = 512;
  std::uint32_t connections_per_uid = 64;
  std::uint32_t workers = 4;
};

class HttpServer {
 public:
  /// Serves the listening socket `fd`, which it takes over. `handler` outlives the server.
  static Result<std::unique_ptr<HttpServer>> create(int fd, HttpHandler& handler,
                                                    const HttpLimits& limits);
  virtual ~HttpServer() = default;

  /// Calls `task` on the loop's thread again and again; before run().
  virtual void every(std::chrono::milliseconds interval, std::function<void()> task) = 0;
  /// Until stop(); then lets answers under way end within `grace` and returns.
  virtual void run() = 0;
  /// Any thread: no new connections, event streams end.
  virtual void stop(std::chrono::milliseconds grace) = 0;
};

/// An answer with the body {"error":{...}}.
HttpResponse error_response(int status, std::string_view code, std::string message,
                            std::string_view field = "");

}  // namespace preflight::daemon
