#include "daemon/http_server.h"

#include <array>
#include <exception>
#include <set>

#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

#include "daemon/log.h"
#include "daemon/protocol/api_error.h"

namespace preflight::daemon {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::local::stream_protocol;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using UploadParser = http::request_parser<http::buffer_body>;

constexpr std::size_t kPieceBytes = 64 << 10;
constexpr auto kToTuple = asio::as_tuple(asio::use_awaitable);

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

HttpRequest describe(const UploadParser& parser, uid_t uid) {
  const auto& message = parser.get();
  HttpRequest out;
  out.method = std::string(message.method_string());
  const std::string_view target(message.target().data(), message.target().size());
  const std::size_t question = std::min(target.find('?'), target.size());
  out.path = target.substr(0, question);
  if (question < target.size()) out.query = target.substr(question + 1);
  for (const auto& field : message) {
    const std::string_view name(field.name_string().data(), field.name_string().size());
    const std::string_view value(field.value().data(), field.value().size());
    auto [it, is_new] = out.headers.try_emplace(lower(name), value);
    if (!is_new) it->second.append(", ").append(value);
  }
  out.uid = uid;
  if (const auto length = parser.content_length()) out.body_bytes = *length;
  out.has_body = parser.chunked() || out.body_bytes.value_or(0) > 0;
  return out;
}

/// What no route ever accepts; none if the request may go on.
std::optional<HttpResponse> refuse_header(const UploadParser& parser, const HttpRequest& request,
                                          const HttpLimits& limits) {
  const auto& message = parser.get();
  if (message.version() != 11)
    return error_response(505, "bad_request", "this server speaks HTTP/1.1 only");
  std::size_t n_fields = 0;
  for ([[maybe_unused]] const auto& field : message) ++n_fields;
  if (n_fields > limits.header_fields)
    return error_response(431, "too_large",
                          fmt::format("the request has {} header fields, {} are allowed", n_fields,
                                      limits.header_fields));
  // A page in a browser must not reach the socket through some bridge to TCP.
  if (request.headers.contains("origin"))
    return error_response(403, "forbidden", "requests from web pages are refused", "Origin");
  if (const auto host = request.headers.find("host"); host != request.headers.end()) {
    const std::string name = host->second.substr(0, host->second.find(':'));
    if (!name.empty() && lower(name) != "localhost")
      return error_response(403, "forbidden", "the host must be localhost", "Host");
  }
  if (const auto coding = request.headers.find("transfer-encoding");
      coding != request.headers.end() && lower(coding->second) != "chunked")
    return error_response(501, "bad_request", "only the transfer encoding \"chunked\" is known",
                          "Transfer-Encoding");
  if (!request.path.starts_with('/'))
    return error_response(400, "bad_request", "the request target must begin with a slash");
  return std::nullopt;
}

HttpResponse refuse_bytes(const error_code& error, bool timed_out, const HttpLimits& limits) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return error_response(431, "too_large",
                          fmt::format("the header passes {} bytes", limits.header_bytes));
  if (timed_out)
    return error_response(408, "too_slow", "the request's header did not arrive in time");
  return error_response(400, "bad_request",
                        fmt::format("not a valid HTTP/1.1 request: {}", error.message()));
}

class BeastServer final : public HttpServer {
 public:
  BeastServer(HttpHandler& handler, const HttpLimits& limits)
      : handler_(handler), limits_(limits), workers_(limits.workers), acceptor_(io_), grace_(io_) {}

  ~BeastServer() override { workers_.join(); }

  error_code listen_on(int fd) {
    error_code error;
    acceptor_.assign(stream_protocol(), fd, error);
    return error;
  }

  void every(std::chrono::milliseconds interval, std::function<void()> task) override {
    asio::co_spawn(io_, repeat(interval, std::move(task)), asio::detached);
  }

  void run() override {
    asio::co_spawn(io_, accept_all(), asio::detached);
    io_.run();
  }

  void stop(std::chrono::milliseconds grace) override {
    asio::post(io_, [this, grace] {
      stopping_ = true;
      error_code ignored;
      acceptor_.close(ignored);
      for (Connection* connection : connections_) {
        if (connection->idle) connection->socket.cancel(ignored);
        if (connection->wake) connection->wake->cancel();
      }
      if (connections_.empty()) return io_.stop();
      grace_.expires_after(grace);
      grace_.async_wait([this](error_code) { io_.stop(); });
    });
  }

 private:
  /// A socket whose operations end when a deadline passes. Unlike Beast's own stream it stays open
  /// then, so that the client can be told.
  struct TimedSocket : std::enable_shared_from_this<TimedSocket> {
    explicit TimedSocket(stream_protocol::socket connected)
        : socket(std::move(connected)), deadline(socket.get_executor()) {}

    /// The deadline of whatever is waited for next.
    void arm(Clock::duration limit) {
      timed_out = false;
      deadline.expires_after(limit);
      deadline.async_wait([weak = weak_from_this()](error_code stopped) {
        const auto self = weak.lock();
        // A handler that was on its way already when the deadline was moved has nothing to say.
        if (stopped || !self || self->deadline.expiry() > Clock::now()) return;
        self->timed_out = true;
        error_code ignored;
        self->socket.cancel(ignored);
      });
    }

    stream_protocol::socket socket;
    asio::steady_timer deadline;
    bool timed_out = false;  // since arm()
  };

  /// One connection's state that others may touch; lives in its coroutine's frame.
  struct Connection {
    Connection(BeastServer& owner, stream_protocol::socket connected, uid_t peer)
        : server(owner),
          timed(std::make_shared<TimedSocket>(std::move(connected))),
          socket(timed->socket),
          uid(peer) {
      server.connections_.insert(this);
      ++server.connections_of_[uid];
    }
    ~Connection() {
      server.connections_.erase(this);
      if (--server.connections_of_[uid] == 0) server.connections_of_.erase(uid);
      if (server.stopping_ && server.connections_.empty()) server.io_.stop();
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    BeastServer& server;
    std::shared_ptr<TimedSocket> timed;
    stream_protocol::socket& socket;
    uid_t uid;
    beast::flat_buffer buffer{kPieceBytes};
    bool idle = true;  // between requests
    bool over_limit = false;
    std::shared_ptr<asio::steady_timer> wake;  // of the event stream, if it is one
  };

  asio::awaitable<void> repeat(std::chrono::milliseconds interval, std::function<void()> task) {
    asio::steady_timer timer(io_);
    while (!stopping_) {
      timer.expires_after(interval);
      co_await timer.async_wait(kToTuple);
      task();
    }
  }

  asio::awaitable<void> accept_all() {
    while (!stopping_) {
      auto [error, socket] = co_await acceptor_.async_accept(kToTuple);
      if (error) {
        if (stopping_) co_return;
        // Out of descriptors or memory: the backlog keeps the others until some are free again.
        log(LogLevel::kWarning, "cannot accept a connection: {}", error.message());
        asio::steady_timer pause(io_, std::chrono::milliseconds(200));
        co_await pause.async_wait(kToTuple);
        continue;
      }
      // Asio leaves it open for children; a decoder must neither see it nor keep it open.
      if (::fcntl(socket.native_handle(), F_SETFD, FD_CLOEXEC) != 0) continue;
      ucred peer{};
      socklen_t size = sizeof(peer);
      if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) continue;
      // A few places more than the limit, to say so; beyond them the connection is just closed.
      if (connections_.size() >= limits_.connections + std::size_t{16}) continue;
      asio::co_spawn(io_, serve(std::move(socket), peer.uid), asio::detached);
    }
  }

  asio::awaitable<void> serve(stream_protocol::socket socket, uid_t uid) {
    Connection connection(*this, std::move(socket), uid);
    connection.over_limit = connections_.size() > limits_.connections ||
                            connections_of_[uid] > limits_.connections_per_uid;
    // Libraries below may throw (out of memory); that costs this connection, not the daemon.
    try {
      bool again = true;
      while (again && !stopping_) again = co_await serve_request(connection);
    } catch (const std::exception& thrown) {
      log(LogLevel::kError, "a connection failed: {}", thrown.what());
    }
  }

  /// Reads one request and answers it. False: the connection ends.
  asio::awaitable<bool> serve_request(Connection& connection) {
    UploadParser parser;
    parser.header_limit(limits_.header_bytes);
    parser.body_limit(boost::none);  // the sink counts
    connection.idle = true;
    connection.timed->arm(limits_.header_deadline);
    auto [error, n_bytes] =
        co_await http::async_read_header(connection.socket, connection.buffer, parser, kToTuple);
    connection.idle = false;
    const bool timed_out = connection.timed->timed_out;
    if (error == http::error::end_of_stream || (timed_out && !parser.got_some())) co_return false;
    if (error == asio::error::operation_aborted && !timed_out) co_return false;  // we stop
    if (error) {
      const HttpResponse answer = refuse_bytes(error, timed_out, limits_);
      co_await write_answer(connection, answer, /*keep_alive=*/false);
      co_await drain(connection);
      co_return false;
    }
    const HttpRequest request = describe(parser, connection.uid);
    std::optional<HttpResponse> refusal = refuse_header(parser, request, limits_);
    if (connection.over_limit) {
      refusal = error_response(503, "too_many_connections", "too many connections are open");
      refusal->headers.emplace_back("Retry-After", "1");
    }
    const bool refused = refusal.has_value();
    // No co_await inside a larger expression in this file: GCC 12 ends the expression's temporaries
    // twice then.
    HttpAnswer answer;
    if (refusal) {
      answer = *std::move(refusal);
    } else {
      auto work = [&] { return handler_.handle(request); };
      answer = co_await on_worker<HttpAnswer>(work);
    }

    if (auto* feed = std::get_if<std::unique_ptr<EventFeed>>(&answer)) {
      co_await send_events(connection, **feed);
      co_return false;
    }
    if (auto* sink = std::get_if<std::unique_ptr<BodySink>>(&answer)) {
      HttpResponse response = co_await receive_body(connection, parser, **sink);
      co_await drop(*sink);
      answer = std::move(response);
    }
    // After a refused header it is not known where a body, and the next request, would begin.
    const bool keep_alive =
        !refused && !connection.over_limit && parser.is_done() && parser.keep_alive() && !stopping_;
    const auto& response = std::get<HttpResponse>(answer);
    const bool written = co_await write_answer(connection, response, keep_alive);
    if (!written) co_return false;
    if (!keep_alive && (refused || !parser.is_done())) co_await drain(connection);
    co_return keep_alive;
  }

  /// Runs `work` on a worker thread; the loop goes on meanwhile. `work` outlives the call.
  template <class T, class F>
  asio::awaitable<T> on_worker(F& work) {
    auto call = [](F& target) -> asio::awaitable<T> { co_return target(); };
    asio::awaitable<T> task = call(work);
    co_return co_await asio::co_spawn(workers_, std::move(task), asio::use_awaitable);
  }

  /// A sink that was not finished removes files: not on the loop.
  asio::awaitable<void> drop(std::unique_ptr<BodySink>& sink) {
    auto work = [&] { sink.reset(); };
    co_await on_worker<void>(work);
  }

  asio::awaitable<HttpResponse> receive_body(Connection& connection, UploadParser& parser,
                                             BodySink& sink) {
    if (http::response<http::empty_body> proceed;
        beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      proceed.result(http::status::continue_);
      connection.timed->arm(limits_.write_deadline);
      auto [error, n] = co_await http::async_write(connection.socket, proceed, kToTuple);
      if (error) co_return error_response(400, "bad_request", "the connection broke off");
    }
    // A read takes as much as the buffer has room for already: 512 bytes unless told otherwise.
    connection.buffer.reserve(kPieceBytes);
    std::vector<char> piece(kPieceBytes);
    const auto give_up_at = Clock::now() + limits_.request_deadline;
    // Only the time spent waiting for the client counts against it, not our disk's.
    Clock::duration window{};
    std::uint64_t window_bytes = 0;
    while (!parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      const auto asked_at = Clock::now();
      connection.timed->arm(limits_.idle_deadline);
      auto [error, n_read] =
          co_await http::async_read_some(connection.socket, connection.buffer, parser, kToTuple);
      const auto read_at = Clock::now();
      if (error && connection.timed->timed_out) co_return too_slow("nothing arrived for a while");
      if (error && error != http::error::need_buffer)
        co_return error_response(400, "bad_request",
                                 fmt::format("the body broke off: {}", error.message()));
      const std::size_t n_bytes = piece.size() - parser.get().body().size;
      window += read_at - asked_at;
      window_bytes += n_bytes;
      if (window >= limits_.idle_deadline) {
        const double seconds = std::chrono::duration<double>(window).count();
        if (static_cast<double>(window_bytes) <
            seconds * static_cast<double>(limits_.min_body_bytes_per_s))
          co_return too_slow("it came slower than the least rate");
        window = {};
        window_bytes = 0;
      }
      if (read_at > give_up_at) co_return too_slow("it took too long as a whole");
      if (n_bytes == 0) continue;
      auto write = [&] { return sink.write(std::string_view(piece.data(), n_bytes)); };
      auto refusal = co_await on_worker<std::optional<HttpResponse>>(write);
      if (refusal) co_return *std::move(refusal);
    }
    auto finish = [&] { return sink.finish(); };
    co_return co_await on_worker<HttpResponse>(finish);
  }

  HttpResponse too_slow(std::string_view why) const {
    return error_response(
        408, "too_slow",
        fmt::format("the upload was given up: {} ({} bytes/s are the least, {} ms the longest "
                    "pause)",
                    why, limits_.min_body_bytes_per_s, limits_.idle_deadline.count()));
  }

  asio::awaitable<bool> write_answer(Connection& connection, const HttpResponse& answer,
                                     bool keep_alive) {
    http::response<http::string_body> message(static_cast<http::status>(answer.status), 11);
    message.set(http::field::server, "preflightd");
    message.set(http::field::cache_control, "no-store");
    for (const auto& [name, value] : answer.headers) message.set(name, value);
    message.keep_alive(keep_alive);
    message.body() = answer.body;
    if (answer.status != 204) {
      message.set(http::field::content_type, answer.content_type);
      message.prepare_payload();
    }
    connection.timed->arm(limits_.write_deadline);
    auto [error, n] = co_await http::async_write(connection.socket, message, kToTuple);
    co_return !error;
  }

  /// A socket closed with unread bytes would take the answer away from a client that still sends.
  asio::awaitable<void> drain(Connection& connection) {
    error_code ignored;
    connection.socket.shutdown(stream_protocol::socket::shutdown_send, ignored);
    connection.timed->arm(std::chrono::seconds(2));
    std::vector<char> piece(kPieceBytes);
    for (;;) {
      auto [error, n] = co_await connection.socket.async_read_some(asio::buffer(piece), kToTuple);
      if (error) co_return;
    }
  }

  asio::awaitable<bool> write_chunk(Connection& connection, std::string_view text) {
    connection.timed->arm(limits_.write_deadline);
    const auto chunk = http::make_chunk(asio::buffer(text.data(), text.size()));
    auto [error, n] = co_await asio::async_write(connection.socket, chunk, kToTuple);
    co_return !error;
  }

  asio::awaitable<void> send_events(Connection& connection, EventFeed& feed) {
    http::response<http::empty_body> head(http::status::ok, 11);
    head.set(http::field::server, "preflightd");
    head.set(http::field::content_type, "text/event-stream");
    head.set(http::field::cache_control, "no-store");
    head.keep_alive(false);
    head.chunked(true);
    http::response_serializer<http::empty_body> serializer(head);
    connection.timed->arm(limits_.write_deadline);
    auto [error, n] = co_await http::async_write_header(connection.socket, serializer, kToTuple);
    if (error) co_return;

    // Timer and flag are only touched on the loop, so a wake between next() and the wait is not
    // lost. The shared owner lets a late wake find nothing instead of a dead timer.
    const auto wake = std::make_shared<asio::steady_timer>(io_);
    const auto woken = std::make_shared<bool>(false);
    connection.wake = wake;
    feed.wake_by([this, weak = std::weak_ptr(wake), woken] {
      asio::post(io_, [weak, woken] {
        *woken = true;
        if (const auto timer = weak.lock()) timer->cancel();
      });
    });
    auto pull = [&] { return feed.next(); };
    bool last = false;
    while (!last && !stopping_) {
      *woken = false;
      const auto page = co_await on_worker<Result<EventFeed::Page>>(pull);
      if (!page) {
        log(LogLevel::kError, "an event stream ends early: {}", page.error().message);
        co_return;
      }
      last = page->last;
      for (const std::string& event : page->events) {
        const bool written = co_await write_chunk(connection, event);
        if (!written) co_return;
      }
      if (!page->events.empty() || last || *woken || stopping_) continue;
      wake->expires_after(limits_.ping_interval);
      auto [wait_error] = co_await wake->async_wait(kToTuple);
      if (wait_error) continue;
      const bool written = co_await write_chunk(connection, ": still here\n\n");
      if (!written) co_return;
    }
    connection.timed->arm(limits_.write_deadline);
    co_await asio::async_write(connection.socket, http::make_chunk_last(), kToTuple);
  }

  HttpHandler& handler_;
  const HttpLimits limits_;
  asio::io_context io_{1};
  asio::thread_pool workers_;
  stream_protocol::acceptor acceptor_;
  asio::steady_timer grace_;
  bool stopping_ = false;
  std::set<Connection*> connections_;
  std::map<uid_t, std::uint32_t> connections_of_;
};

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::create(int fd, HttpHandler& handler,
                                                       const HttpLimits& limits) {
  try {
    auto server = std::make_unique<BeastServer>(handler, limits);
    if (const error_code error = server->listen_on(fd))
      return fail(ErrorCode::kIo, fmt::format("descriptor {} is not a Unix stream socket: {}", fd,
                                              error.message()));
    return server;
  } catch (const std::exception& thrown) {
    return fail(ErrorCode::kIo, fmt::format("cannot start the HTTP server: {}", thrown.what()));
  }
}

HttpResponse error_response(int status, std::string_view code, std::string message,
                            std::string_view field) {
  return {.status = status,
          .body = protocol::to_json(
              protocol::ApiError{std::string(code), std::move(message), std::string(field)}),
          .headers = {}};
}

}  // namespace preflight::daemon
