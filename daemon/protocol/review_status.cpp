#include "daemon/protocol/review_status.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/json_fields.h"

namespace preflight::protocol {

using nlohmann::json;

namespace {

constexpr std::array<std::string_view, 5> kStateNames = {"queued", "running", "done", "failed",
                                                         "cancelled"};

Decoded<ReviewStatus> read_status(const json& object, const std::string& pointer) {
  ReviewStatus status;
  std::string state;
  ObjectReader fields(object, pointer);
  fields.need("id", status.id);
  fields.need("state", state);
  fields.take("bundle_id", status.bundle_id);
  fields.take("facts_only", status.facts_only);
  fields.take("cancelling", status.cancelling);
  fields.take("attempts", status.attempts);
  fields.take("ahead", status.ahead);
  fields.take("bundle_bytes", status.bundle_bytes);
  fields.take("created_ms", status.created_ms);
  fields.take("started_ms", status.started_ms);
  fields.take("finished_ms", status.finished_ms);
  fields.take("reason", status.reason);
  if (!fields.good()) return tl::unexpected(fields.error());
  const std::optional<ReviewState> parsed = parse_review_state(state);
  if (!parsed)
    return tl::unexpected(DecodeError{fmt::format("{}/state is \"{}\", expected one of {}", pointer,
                                                  state, fmt::join(kStateNames, ", "))});
  status.state = *parsed;
  if (const auto report = object.find("report"); report != object.end()) status.report = *report;
  return status;
}

}  // namespace

std::string_view to_string(ReviewState state) {
  return kStateNames[static_cast<std::size_t>(state)];
}

std::optional<ReviewState> parse_review_state(std::string_view text) {
  for (std::size_t i = 0; i < kStateNames.size(); ++i)
    if (kStateNames[i] == text) return static_cast<ReviewState>(i);
  return std::nullopt;
}

json to_json(const ReviewStatus& status) {
  json out = {{"id", status.id},
              {"bundle_id", status.bundle_id},
              {"state", to_string(status.state)},
              {"facts_only", status.facts_only},
              {"attempts", status.attempts},
              {"bundle_bytes", status.bundle_bytes},
              {"created_ms", status.created_ms}};
  if (status.state == ReviewState::kQueued) out["ahead"] = status.ahead;
  if (status.cancelling) out["cancelling"] = true;
  if (status.started_ms != 0) out["started_ms"] = status.started_ms;
  if (status.finished_ms != 0) out["finished_ms"] = status.finished_ms;
  if (!status.reason.empty()) out["reason"] = status.reason;
  if (!status.report.is_null()) out["report"] = status.report;
  return out;
}

Decoded<ReviewStatus> parse_review_status(std::string_view body) {
  const Decoded<json> value = parse_object(body, "the review");
  if (!value) return tl::unexpected(value.error());
  return read_status(*value, "");
}

std::string to_json(const std::vector<ReviewStatus>& list) {
  json reviews = json::array();
  for (const ReviewStatus& status : list) reviews.push_back(to_json(status));
  return json{{"reviews", std::move(reviews)}}.dump(-1, ' ', false, json::error_handler_t::replace);
}

Decoded<std::vector<ReviewStatus>> parse_review_list(std::string_view body) {
  const Decoded<json> value = parse_object(body, "the list of reviews");
  if (!value) return tl::unexpected(value.error());
  const auto reviews = value->find("reviews");
  if (reviews == value->end() || !reviews->is_array())
    return tl::unexpected(DecodeError{"/reviews is missing or no array"});
  std::vector<ReviewStatus> list;
  for (std::size_t i = 0; i < reviews->size(); ++i) {
    const std::string pointer = fmt::format("/reviews/{}", i);
    if (!(*reviews)[i].is_object())
      return tl::unexpected(DecodeError{
          fmt::format("{} is {}, expected an object", pointer, (*reviews)[i].type_name())});
    Decoded<ReviewStatus> status = read_status((*reviews)[i], pointer);
    if (!status) return tl::unexpected(status.error());
    list.push_back(*std::move(status));
  }
  return list;
}

}  // namespace preflight::protocol
