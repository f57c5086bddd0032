#include "daemon/routes.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "daemon/review_feed.h"
#include "daemon/review_intake.h"
#include "daemon/version.h"

namespace preflight::daemon {

using nlohmann::json;

namespace {

HttpResponse json_response(int status, const json& body) {
  return {.status = status,
          .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
          .headers = {}};
}

HttpResponse no_such_review() {
  return error_response(404, "not_found", "there is no such review of yours");
}

HttpResponse wrong_method(std::string_view allowed) {
  HttpResponse out =
      error_response(405, "bad_method", fmt::format("this path knows {} only", allowed));
  out.headers.emplace_back("Allow", allowed);
  return out;
}

}  // namespace

HttpAnswer Routes::handle(const HttpRequest& request) {
  const std::string_view path = request.path;
  constexpr std::string_view kReviews = "/v1/reviews";
  if (path == kReviews && request.method == "POST") return take_in(service_, request);
  if (request.has_body)
    return error_response(400, "bad_request", "this request must not have a body");
  if (path == "/v1/health") return request.method == "GET" ? get_health() : wrong_method("GET");
  if (path == "/v1/models") return request.method == "GET" ? get_models() : wrong_method("GET");
  if (path == kReviews)
    return request.method == "GET" ? list_reviews(request.uid) : wrong_method("GET, POST");

  if (path.starts_with(kReviews) && path.size() > kReviews.size() && path[kReviews.size()] == '/') {
    std::string_view id = path.substr(kReviews.size() + 1);
    constexpr std::string_view kEvents = "/events";
    const bool events = id.ends_with(kEvents);
    if (events) id.remove_suffix(kEvents.size());
    if (!is_review_id(id)) return no_such_review();
    if (events)
      return request.method == "GET" ? follow_review(request, id) : HttpAnswer(wrong_method("GET"));
    if (request.method == "GET") return get_review(request.uid, id);
    if (request.method == "DELETE") return delete_review(request.uid, id);
    return wrong_method("GET, DELETE");
  }
  return error_response(404, "not_found", "there is no such path");
}

protocol::Health Routes::health() const {
  const EngineHealth engine = service_.reviewer.health();
  protocol::Health out;
  out.version = kVersion;
  out.status = engine.loaded ? "ok" : engine.loading ? "starting" : "degraded";
  if (!engine.loaded) out.reason = engine.reason;
  out.model = {engine.model_name, engine.model_digest, engine.loaded, engine.drafter};
  out.device = {engine.device, engine.driver, engine.tier, engine.software};
  out.work = {engine.prefilled_tokens, engine.cached_tokens, engine.generated_tokens,
              engine.forced_tokens,    engine.saved_steps,   engine.draft_saved_steps};
  out.last_fault = {engine.last_fault_ms, engine.last_fault};
  out.queue.limit = service_.quota.limits().max_reviews;
  out.spool.limit_bytes = service_.quota.limits().max_spool_bytes;
  out.spool.used_bytes = service_.quota.used_bytes();
  out.database = service_.store.moved_aside().empty() ? "ok" : service_.store.moved_aside();

  const auto degrade = [&](std::string reason) {
    out.status = "degraded";
    out.reason = std::move(reason);
  };
  if (!engine.decoder_fault.empty()) degrade(engine.decoder_fault);
  const auto counts = service_.store.counts();
  if (counts)
    out.queue.queued = counts->queued, out.queue.running = counts->running;
  else
    degrade(counts.error().message);
  const auto free_bytes = service_.spool.free_bytes();
  if (!free_bytes)
    degrade(free_bytes.error().message);
  else if (*free_bytes < service_.min_free_bytes)
    degrade(fmt::format("the disk is nearly full: {} bytes are free, {} are kept in reserve",
                        *free_bytes, service_.min_free_bytes));
  if (free_bytes) out.spool.free_disk_bytes = *free_bytes;
  if (!service_.worker.alive(service_.stall_limit, service_.load_limit))
    degrade("the review thread has not moved for too long");
  return out;
}

HttpResponse Routes::get_health() const {
  const protocol::Health state = health();
  return {
      .status = state.status == "ok" ? 200 : 503, .body = protocol::to_json(state), .headers = {}};
}

HttpResponse Routes::get_models() const {
  const EngineHealth engine = service_.reviewer.health();
  json models = json::array();
  if (!engine.model_name.empty())
    models.push_back(
        {{"id", engine.model_name}, {"digest", engine.model_digest}, {"loaded", engine.loaded}});
  return json_response(200, {{"models", std::move(models)}});
}

HttpResponse Routes::list_reviews(uid_t uid) const {
  const auto list = service_.store.list(uid);
  if (!list) return failure_response(list.error());
  return {.status = 200, .body = protocol::to_json(*list), .headers = {}};
}

HttpResponse Routes::get_review(uid_t uid, std::string_view id) const {
  const auto status = service_.store.find(uid, id);
  if (!status) return failure_response(status.error());
  if (!*status) return no_such_review();
  return json_response(200, protocol::to_json(**status));
}

HttpAnswer Routes::follow_review(const HttpRequest& request, std::string_view id) const {
  std::uint64_t after = 0;
  if (const auto last = request.headers.find("last-event-id"); last != request.headers.end()) {
    const std::string& text = last->second;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), after);
    // SQLite counts with a sign.
    if (error != std::errc() || end != text.data() + text.size() || after > (1ull << 62))
      return error_response(400, "bad_request", "the last event's id must be a number",
                            "Last-Event-ID");
  }
  const auto status = service_.store.find(request.uid, id);
  if (!status) return failure_response(status.error());
  if (!*status) return no_such_review();
  return make_review_feed(service_.store, service_.hub, std::string(id), after);
}

HttpResponse Routes::delete_review(uid_t uid, std::string_view id) {
  const auto before = service_.store.find(uid, id);
  if (!before) return failure_response(before.error());
  if (!*before) return no_such_review();
  const auto cancelled = service_.store.cancel(uid, id, wall_ms());
  if (!cancelled) return failure_response(cancelled.error());
  if (*cancelled == Store::Cancelled::kNone) {
    const auto erased = service_.store.erase(uid, id);
    if (!erased) return failure_response(erased.error());
    service_.hub.notify(id);
    if (!*erased) return no_such_review();
    return {.status = 204, .body = {}, .headers = {}};
  }
  if (*cancelled == Store::Cancelled::kNow) {
    service_.spool.remove(id);
    service_.quota.release(uid, 1, (*before)->bundle_bytes);
    service_.hub.notify(id);
  } else {
    service_.worker.cancel(id);
  }
  return get_review(uid, id);
}

std::string retry_after(const Service& service) {
  constexpr std::int64_t kLeast_s = 2, kMost_s = 600;
  const std::int64_t usual_s = service.worker.usual_duration().count();
  return fmt::format("{}", std::clamp(usual_s, kLeast_s, kMost_s));
}

}  // namespace preflight::daemon
