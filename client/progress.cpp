#include "client/progress.h"

#include <cstdio>

#include <fmt/format.h>

#include "client/report.h"
#include "client/report_fields.h"
#include "client/terminal_text.h"

namespace preflight::client {

using nlohmann::json;

std::string Progress::elapsed() const {
  const auto seconds =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began_);
  return fmt::format("{:>4} s  ", seconds.count());
}

void Progress::clear() {
  if (status_shown_) fmt::print(stderr, "\r\x1b[K");
  status_shown_ = false;
}

void Progress::line(std::string_view text) {
  clear();
  fmt::print(stderr, "{}\n", text);
}

void Progress::status(std::string_view text) {
  if (!options_.terminal) return line(elapsed() + std::string(text));
  fmt::print(stderr, "\r\x1b[K{}{}", elapsed(), wrap(text, 70).front());
  static_cast<void>(std::fflush(stderr));
  status_shown_ = true;
}

void Progress::show(const protocol::Event& event) {
  const json& data = event.data;
  if (event.name == protocol::kEventStarted) {
    const double attempt = number_at(data, "attempt").value_or(1);
    if (attempt > 1) {
      line(elapsed() + fmt::format("begun again after a restart (attempt {})", attempt));
    }
  } else if (event.name == protocol::kEventDecoding) {
    status(one_line("opening " + text_at(data, "asset")));
  } else if (event.name == protocol::kEventRows) {
    show_measured(list_at(data, "rows"));
  } else if (event.name == protocol::kEventPrefill) {
    show_prefill(data);
  } else if (event.name == protocol::kEventRow) {
    const json row = data.value("row", json::object());
    line(elapsed() +
         one_line(fmt::format("{}: {}", text_at(row, "check"), text_at(row, "verdict"))));
  }
}

void Progress::show_measured(const json& rows) {
  std::size_t failed = 0;
  for (const json& row : rows) {
    if (text_at(row, "result") != "fail") continue;
    ++failed;
    line("        " + painted(measured_line(row), options_.colours ? Colour::kRed : Colour::kNone));
  }
  line(elapsed() + fmt::format("{} measured rows, {} failed", rows.size(), failed));
}

void Progress::show_prefill(const json& event) {
  const std::string pass = text_at(event, "pass");
  const auto done = static_cast<std::uint64_t>(number_at(event, "done").value_or(0));
  const auto total = static_cast<std::uint64_t>(number_at(event, "total").value_or(0));
  // A log gets a line for each quarter, a terminal each count.
  if (pass != pass_ || done == total) next_done_ = 0;
  pass_ = pass;
  if (!options_.terminal && done < next_done_) return;
  next_done_ = done + total / 4 + 1;
  status(one_line(fmt::format("{}: read {} of {}", pass, done, total)));
}

}  // namespace preflight::client
