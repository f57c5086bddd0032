#include "daemon/review_intake.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "daemon/log.h"

namespace preflight::daemon {

namespace {

constexpr std::size_t kMaxKeyCharacters = 128;

class ReviewIntake final : public BodySink {
 public:
  ReviewIntake(Service& service, uid_t uid, std::string key, bool facts_only,
               std::string_view boundary, std::unique_ptr<QuotaShare> share,
               std::unique_ptr<Upload> upload)
      : service_(service),
        uid_(uid),
        key_(std::move(key)),
        facts_only_(facts_only),
        share_(std::move(share)),
        upload_(std::move(upload)),
        parser_(boundary, *upload_) {}

  std::optional<HttpResponse> write(std::string_view bytes) override {
    if (const Result<void> taken = parser_.feed(bytes); !taken) return refused(taken.error());
    return std::nullopt;
  }

  HttpResponse finish() override {
    if (const Result<void> whole = parser_.finish(); !whole) return refused(whole.error());
    if (const Result<void> sealed = upload_->seal(); !sealed) return refused(sealed.error());
    NewReview review{.id = {},
                     .uid = uid_,
                     .key = key_,
                     .digest = upload_->digest() + (facts_only_ ? " facts" : ""),
                     .bundle_id = upload_->bundle_id(),
                     .facts_only = facts_only_,
                     .bytes = upload_->bytes(),
                     .created_ms = wall_ms()};
    Result<std::string> id = make_review_id(review.created_ms);
    if (!id) return failure_response(id.error());
    review.id = *std::move(id);

    // Folder first, row second: a crash in between leaves a folder without a row, which is swept
    // away, and a client without an answer, which sends again.
    if (const Result<void> moved = upload_->commit(review); !moved) return refused(moved.error());
    const Result<Store::Insertion> inserted = service_.store.insert(review);
    if (!inserted || inserted->taken != Store::Taken::kNew) service_.spool.remove(review.id);
    if (!inserted) return failure_response(inserted.error());
    if (inserted->taken == Store::Taken::kConflict)
      return error_response(
          409, "idempotency_conflict",
          fmt::format("this key stands for review {}, sent with other content", inserted->id),
          "Idempotency-Key");
    if (inserted->taken == Store::Taken::kNew) {
      share_->keep();
      service_.worker.wake();
      log(LogLevel::kInfo, "review {} of uid {} taken, {} bytes", review.id, uid_, review.bytes);
    }
    auto status = service_.store.find(uid_, inserted->id);
    if (!status) return failure_response(status.error());
    if (!*status)  // deleted by its owner a moment ago
      return error_response(409, "idempotency_conflict", "the review was deleted meanwhile",
                            "Idempotency-Key");
    (*status)->report = nullptr;
    return {.status = 202,
            .body = protocol::to_json(**status).dump(-1, ' ', false,
                                                     nlohmann::json::error_handler_t::replace),
            .headers = {{"Location", "/v1/reviews/" + inserted->id}}};
  }

 private:
  /// The upload's own reason if it has one, else the parser's.
  HttpResponse refused(const Error& error) const {
    const UploadRefusal& reason = upload_->refusal();
    if (reason.code.empty()) return error_response(400, "bad_multipart", error.message);
    if (reason.status >= 500) log(LogLevel::kError, "an upload failed: {}", reason.message);
    return refusal_response(service_, reason);
  }

  Service& service_;
  const uid_t uid_;
  const std::string key_;
  const bool facts_only_;
  std::unique_ptr<QuotaShare> share_;
  std::unique_ptr<Upload> upload_;
  MultipartParser parser_;
};

}  // namespace

HttpResponse refusal_response(const Service& service, const UploadRefusal& refusal) {
  HttpResponse out = error_response(refusal.status, refusal.code, refusal.message, refusal.field);
  if (refusal.status == 429 || refusal.status == 503)
    out.headers.emplace_back("Retry-After", retry_after(service));
  return out;
}

HttpResponse failure_response(const Error& error) {
  log(LogLevel::kError, "a request failed: {}", error.message);
  if (error.code == ErrorCode::kLimit)
    return error_response(507, "disk_full",
                          "the daemon's disk is full; ask its administrator to make room",
                          "state.dir");
  return error_response(500, "storage_failed", "the daemon could not read or write its state");
}

HttpAnswer take_in(Service& service, const HttpRequest& request) {
  const auto header = [&](const char* name) {
    const auto it = request.headers.find(name);
    return it == request.headers.end() ? std::string() : it->second;
  };
  bool facts_only = false;
  if (request.query == "facts_only=true") {
    facts_only = true;
  } else if (!request.query.empty() && request.query != "facts_only=false") {
    return error_response(400, "bad_request",
                          "the only query of this route is facts_only=true or facts_only=false",
                          "query");
  }
  const std::string key = header("idempotency-key");
  const bool printable =
      std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  const bool has_key = request.headers.contains("idempotency-key");
  if (has_key && (key.empty() || key.size() > kMaxKeyCharacters || !printable))
    return error_response(400, "bad_request",
                          fmt::format("the key must have 1 to {} printable characters and no space",
                                      kMaxKeyCharacters),
                          "Idempotency-Key");
  const Result<std::string> boundary = MultipartParser::boundary(header("content-type"));
  if (!boundary)
    return error_response(400, "bad_multipart", boundary.error().message, "Content-Type");
  if (!request.has_body) return error_response(400, "bad_multipart", "the request has no body");
  // Delimiters and part headers come on top of the files.
  const std::uint64_t most =
      service.bundle_limits.max_bytes + std::uint64_t{service.bundle_limits.max_files} * 8192;
  if (request.body_bytes.value_or(0) > most)
    return error_response(413, "too_large",
                          fmt::format("the body has {} bytes, a bundle at most {}",
                                      *request.body_bytes, service.bundle_limits.max_bytes),
                          "bundle.max_mib");

  const Result<std::uint64_t> free_bytes = service.spool.free_bytes();
  if (!free_bytes) return failure_response(free_bytes.error());
  if (*free_bytes < service.min_free_bytes + request.body_bytes.value_or(0))
    return failure_response(
        {ErrorCode::kLimit,
         fmt::format("{} bytes are free for an upload of {} and a reserve of {}", *free_bytes,
                     request.body_bytes.value_or(0), service.min_free_bytes)});

  auto share = std::make_unique<QuotaShare>(service.quota, request.uid);
  // A client that sends again what was taken already must get its answer from a full queue, too.
  Result<bool> known = false;
  if (has_key) known = service.store.knows_key(request.uid, key);
  if (!known) return failure_response(known.error());
  if (!*known) {
    if (const auto full = share->take_review())
      return refusal_response(service, {429, "queue_full", full->message, full->setting});
  }
  Result<std::unique_ptr<Upload>> upload =
      Upload::begin(service.spool, *share, service.bundle_limits);
  if (!upload) return failure_response(upload.error());
  return std::make_unique<ReviewIntake>(service, request.uid, key, facts_only, *boundary,
                                        std::move(share), *std::move(upload));
}

}  // namespace preflight::daemon
