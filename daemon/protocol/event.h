// What GET /v1/reviews/{id}/events sends: server-sent events (WHATWG HTML, 9.2), one JSON object
// each.
//
//   id: 7                      number within the review, from 1; give the last one seen back in the
//   event: row                 header Last-Event-ID to go on from there after a lost connection
//   data: {"event":"row",...}
//
// started    {"attempt"}                     work begins; a higher attempt than before means that
// the
//                                            daemon had died: what earlier attempts said is void
// decoding   {"asset", ...}                  an asset is being opened
// rows       {"rows":[...]}                  the measured rows, before any model row
// prefill    {"pass","done","total"}         tokens
// row        {"row":{...}}                   one check's row as in the report
// done       {}                              the report can be fetched; last
// failed     {"reason"}                      last
// cancelled  {"reason"}                      last
//
// A stream that ends without one of the last three was cut: connect again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/protocol/decode_error.h"

namespace preflight::protocol {

inline constexpr std::string_view kEventStarted = "started";
inline constexpr std::string_view kEventDecoding = "decoding";
inline constexpr std::string_view kEventRows = "rows";
inline constexpr std::string_view kEventPrefill = "prefill";
inline constexpr std::string_view kEventRow = "row";
inline constexpr std::string_view kEventDone = "done";
inline constexpr std::string_view kEventFailed = "failed";
inline constexpr std::string_view kEventCancelled = "cancelled";

struct Event {
  std::uint64_t seq = 0;
  std::string name;
  nlohmann::json data;  ///< an object; carries the name as "event" as well
};

constexpr bool is_last_event(std::string_view name) {
  return name == kEventDone || name == kEventFailed || name == kEventCancelled;
}

/// One event as it goes over the wire, blank line included.
std::string to_sse(const Event& event);

/// Cuts a stream of bytes, in pieces of any size, into events. Comments (pings) are skipped.
class SseParser {
 public:
  /// Errors: data that is no JSON object, an id that is no number, an event past `kMaxEventBytes`.
  /// After an error the parser must not be fed again.
  Decoded<std::vector<Event>> feed(std::string_view bytes);

  static constexpr std::size_t kMaxEventBytes = std::size_t{8} << 20;

 private:
  Decoded<std::optional<Event>> take_line(std::string_view line);

  std::string line_;
  bool after_cr_ = false;
  Event event_;
  std::string data_;
  std::uint64_t last_id_ = 0;
};

}  // namespace preflight::protocol
