#include "client/api.h"

#include <algorithm>
#include <cctype>
#include <thread>

#include <fmt/format.h>

#include "daemon/protocol/api_error.h"

namespace preflight::client {
namespace {

tl::unexpected<Failure> failure_of(const HttpError& error) {
  switch (error.trouble) {
    case Trouble::kTimedOut:
    case Trouble::kInterrupted:
      return stop(Exit::kStopped, error.message);
    case Trouble::kFile:
      return stop(Exit::kUsage, error.message);
    case Trouble::kBadAnswer:
      return stop(Exit::kInternal, error.message);
    case Trouble::kNoSocket:
    case Trouble::kNotPermitted:
    case Trouble::kNobodyListens:
    case Trouble::kLost:
      break;
  }
  return stop(Exit::kUnavailable, error.message);
}

// What the daemon says with a status of 400 and above.
tl::unexpected<Failure> refusal(const Response& response) {
  std::string sentence = fmt::format("the daemon answered {}", response.status);
  const auto error = protocol::parse_api_error(response.body);
  if (error.has_value()) {
    sentence = error->message;
    if (!error->field.empty()) sentence += fmt::format(" ({})", error->field);
  }
  const std::string_view retry_after = response.header("retry-after");
  if (!retry_after.empty()) sentence += fmt::format("; try again in {} s", retry_after);
  switch (response.status) {
    case 403:
    case 429:
    case 503:
    case 507:
      return stop(Exit::kUnavailable, std::move(sentence));
    default:
      break;
  }
  return stop(response.status < 500 ? Exit::kUsage : Exit::kInternal, std::move(sentence));
}

template <class T>
Outcome<T> decoded(protocol::Decoded<T> value) {
  if (value.has_value()) return std::move(value).value();
  return stop(Exit::kInternal, "the daemon's answer is not understood: " + value.error().message);
}

// Ids are written into the request line.
Outcome<std::string> target_of(const std::string& id, std::string_view rest = "") {
  const bool plain =
      !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
      });
  if (!plain) return stop(Exit::kUsage, fmt::format("\"{}\" is no id of a review", id));
  return fmt::format("/v1/reviews/{}{}", id, rest);
}

}  // namespace

Api::Api(Options options)
    : options_(std::move(options)), http_(options_.socket, options_.interrupted) {}

void Api::reached() {
  seen_ = true;
  absent_since_.reset();
  next_wait_ = std::chrono::milliseconds(100);
}

Outcome<void> Api::wait_for_return(const HttpError& error) {
  const bool silent = error.trouble == Trouble::kTimedOut && Clock::now() < options_.deadline;
  if (!seen_ || !(is_restart(error.trouble) || silent)) return failure_of(error);
  if (!absent_since_.has_value()) {
    absent_since_ = Clock::now();
    if (options_.on_absence) options_.on_absence(error.message);
  }
  if (Clock::now() - *absent_since_ > kMaxAbsence) return failure_of(error);
  const auto until = Clock::now() + next_wait_;
  while (Clock::now() < until) {
    if (options_.interrupted && options_.interrupted()) return stop(Exit::kStopped, "interrupted");
    if (Clock::now() >= options_.deadline) return stop(Exit::kStopped, "the time allowed is over");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  next_wait_ = std::min(next_wait_ * 2, std::chrono::milliseconds(2000));
  return {};
}

Outcome<Response> Api::call(const Request& request, std::chrono::milliseconds idle) {
  for (;;) {
    auto response = http_.exchange(request, {.idle = idle, .deadline = options_.deadline});
    if (response.has_value()) {
      reached();
      if (response->status >= 400) return refusal(*response);
      return std::move(response).value();
    }
    auto waited = wait_for_return(response.error());
    if (!waited.has_value()) return tl::unexpected(std::move(waited).error());
  }
}

Outcome<protocol::Health> Api::health() {
  auto response = http_.exchange({.target = "/v1/health"}, {.deadline = options_.deadline});
  if (!response.has_value()) return failure_of(response.error());
  reached();
  // 503 is a daemon that says why it cannot decode: an answer like any other.
  if (response->status != 200 && response->status != 503) return refusal(*response);
  auto health = protocol::parse_health(response->body);
  if (!health.has_value() && response->status == 503) return refusal(*response);
  return decoded(std::move(health));
}

Outcome<std::vector<protocol::ReviewStatus>> Api::list() {
  auto response = call({.target = "/v1/reviews"});
  if (!response.has_value()) return tl::unexpected(std::move(response).error());
  return decoded(protocol::parse_review_list(response->body));
}

Outcome<protocol::ReviewStatus> Api::status(const std::string& id) {
  auto target = target_of(id);
  if (!target.has_value()) return tl::unexpected(std::move(target).error());
  auto response = call({.target = *target});
  if (!response.has_value()) return tl::unexpected(std::move(response).error());
  return decoded(protocol::parse_review_status(response->body));
}

Outcome<void> Api::remove(const std::string& id) {
  auto target = target_of(id);
  if (!target.has_value()) return tl::unexpected(std::move(target).error());
  auto response = call({.method = "DELETE", .target = *target});
  if (!response.has_value()) return tl::unexpected(std::move(response).error());
  return {};
}

Outcome<protocol::ReviewStatus> Api::submit(const Upload& upload, bool facts_only) {
  const std::string boundary = random_hex(16);
  const Request request{
      .method = "POST",
      .target = facts_only ? "/v1/reviews?facts_only=true" : "/v1/reviews",
      .headers = {{"Content-Type", fmt::format("multipart/form-data; boundary={}", boundary)},
                  {"Idempotency-Key", random_hex(16)}},
      .body = multipart_body(upload, boundary)};
  // The answer comes when everything is on the daemon's disk, which may be slow.
  auto response = call(request, std::chrono::minutes(5));
  if (!response.has_value()) return tl::unexpected(std::move(response).error());
  return decoded(protocol::parse_review_status(response->body));
}

Outcome<void> Api::follow(const std::string& id,
                          const std::function<void(const protocol::Event&)>& on_event) {
  auto target = target_of(id, "/events");
  if (!target.has_value()) return tl::unexpected(std::move(target).error());
  std::uint64_t last_seq = 0;
  for (;;) {
    protocol::SseParser parser;
    bool finished = false;
    std::string garbled;
    Request request{.target = *target};
    if (last_seq > 0) request.headers.emplace_back("Last-Event-ID", fmt::format("{}", last_seq));
    // The daemon sends a comment every 15 s: three missed ones and the line is dead.
    const Patience patience{.idle = std::chrono::seconds(45), .deadline = options_.deadline};
    auto response = http_.stream(request, patience, [&](std::string_view bytes) {
      reached();
      auto events = parser.feed(bytes);
      if (!events.has_value()) {
        garbled = events.error().message;
        return false;
      }
      for (const protocol::Event& event : *events) {
        last_seq = std::max(last_seq, event.seq);
        on_event(event);
        finished = finished || protocol::is_last_event(event.name);
      }
      return !finished;
    });
    if (finished) return {};
    if (!garbled.empty()) {
      return stop(Exit::kInternal, "the daemon's events are not understood: " + garbled);
    }
    if (response.has_value() && response->status >= 400 && response->status != 503) {
      return refusal(*response);
    }
    // Cut in the middle, or ended without a last event: both mean that the daemon went away.
    auto waited = wait_for_return(
        response.has_value() ? HttpError{Trouble::kLost, "the daemon ended the events too early"}
                             : response.error());
    if (!waited.has_value()) return waited;
  }
}

}  // namespace preflight::client
