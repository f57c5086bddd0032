#include "daemon/protocol/event.h"

#include <charconv>
#include <utility>

#include <fmt/format.h>

#include "daemon/protocol/json_fields.h"

namespace preflight::protocol {

using nlohmann::json;

std::string to_sse(const Event& event) {
  // JSON text has no raw line break, so one data line carries it whole.
  return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", event.seq, event.name,
                     event.data.dump(-1, ' ', false, json::error_handler_t::replace));
}

Decoded<std::vector<Event>> SseParser::feed(std::string_view bytes) {
  std::vector<Event> events;
  for (const char c : bytes) {
    // Lines end by LF, CR or CR LF; the LF of a pair may come with the next piece.
    const bool second_half = after_cr_ && c == '\n';
    after_cr_ = c == '\r';
    if (second_half) continue;
    if (c != '\n' && c != '\r') {
      if (line_.size() + data_.size() >= kMaxEventBytes)
        return tl::unexpected(
            DecodeError{fmt::format("an event is larger than {} bytes", kMaxEventBytes)});
      line_.push_back(c);
      continue;
    }
    Decoded<std::optional<Event>> taken = take_line(line_);
    line_.clear();
    if (!taken) return tl::unexpected(std::move(taken).error());
    if (taken->has_value()) events.push_back(**std::move(taken));
  }
  return events;
}

Decoded<std::optional<Event>> SseParser::take_line(std::string_view line) {
  if (line.empty()) {
    // The blank line closes the event; one without data is dropped, its id stays in force.
    std::string name = std::exchange(event_.name, {});
    std::string text = std::exchange(data_, {});
    if (text.empty()) return std::nullopt;
    Decoded<json> data = parse_object(text, fmt::format("the data of event {}", last_id_));
    if (!data) return tl::unexpected(std::move(data).error());
    return Event{last_id_, std::move(name), *std::move(data)};
  }
  if (line.front() == ':') return std::nullopt;
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "event") {
    event_.name = value;
  } else if (field == "data") {
    if (!data_.empty()) data_.push_back('\n');
    data_ += value;
  } else if (field == "id") {
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), last_id_);
    if (error != std::errc() || end != value.data() + value.size())
      return tl::unexpected(
          DecodeError{fmt::format("an event's id is \"{}\", expected a number", value)});
  }
  return std::nullopt;
}

}  // namespace preflight::protocol
