// A review as the daemon tells of it: answer of POST /v1/reviews, GET /v1/reviews[/{id}] and
// DELETE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/protocol/decode_error.h"

namespace preflight::protocol {

enum class ReviewState {
  kQueued,     ///< durably taken, waits for its turn
  kRunning,    ///< being worked on
  kDone,       ///< the report is there
  kFailed,     ///< ended without a report; `reason` says why
  kCancelled,  ///< ended because its owner asked for it
};

/// What the reason of a failed review begins with where the bundle itself is at fault.
inline constexpr std::string_view kBundleRefused = "the bundle cannot be reviewed: ";

std::string_view to_string(ReviewState state);
std::optional<ReviewState> parse_review_state(std::string_view text);

/// No further events follow.
constexpr bool is_final(ReviewState state) {
  return state != ReviewState::kQueued && state != ReviewState::kRunning;
}

struct ReviewStatus {
  std::string id;  ///< 26 characters, lower case letters and digits; later reviews sort after
  std::string bundle_id;  ///< "id" of bundle.json; empty if it has none
  ReviewState state = ReviewState::kQueued;
  bool facts_only = false;
  bool cancelling = false;     ///< running, and asked to stop
  std::uint32_t attempts = 0;  ///< starts so far, this one included; 2 and more after a crash
  std::uint32_t ahead = 0;     ///< reviews that run before this one; 0 unless queued
  std::uint64_t bundle_bytes = 0;
  std::int64_t created_ms = 0;   ///< wall clock, milliseconds since 1970 (UTC)
  std::int64_t started_ms = 0;   ///< last start; 0 before it
  std::int64_t finished_ms = 0;  ///< 0 before the end
  std::string reason;            ///< one sentence; only when failed or cancelled
  nlohmann::json report;         ///< preflight.report/1; null until done, and in lists
};

nlohmann::json to_json(const ReviewStatus& status);
Decoded<ReviewStatus> parse_review_status(std::string_view body);

/// The answer of GET /v1/reviews: {"reviews":[...]}, newest first, without reports.
std::string to_json(const std::vector<ReviewStatus>& list);
Decoded<std::vector<ReviewStatus>> parse_review_list(std::string_view body);

}  // namespace preflight::protocol
