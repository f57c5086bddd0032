// list, show, cancel, health: what the daemon knows.
#include <ctime>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/commands.h"
#include "client/terminal_text.h"

namespace preflight::client {
namespace {

using nlohmann::json;

std::string local_time(std::int64_t ms) {
  if (ms <= 0) return "-";
  return fmt::format("{:%Y-%m-%d %H:%M}", fmt::localtime(static_cast<std::time_t>(ms / 1000)));
}

std::string gib(std::uint64_t bytes) {
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / (1 << 30));
}

std::string state_of(const protocol::ReviewStatus& review) {
  std::string state(protocol::to_string(review.state));
  if (review.ahead > 0) state += fmt::format(", {} before it", review.ahead);
  if (review.cancelling) state += ", stopping";
  return state;
}

}  // namespace

Outcome<Exit> run_list(Api& api, bool as_json) {
  auto list = api.list();
  if (!list.has_value()) return tl::unexpected(std::move(list).error());
  if (as_json) {
    fmt::print("{}\n", protocol::to_json(*list));
    return Exit::kPass;
  }
  TextTable table({{"Review", 26}, {"Bundle", 20}, {"Sent", 16}, {"State", 15}}, false);
  for (const protocol::ReviewStatus& review : *list) {
    table.add(
        {{review.id}, {review.bundle_id}, {local_time(review.created_ms)}, {state_of(review)}});
  }
  fmt::print("{}", list->empty() ? "no reviews\n" : table.text());
  return Exit::kPass;
}

Outcome<Exit> run_show(Api& api, const std::string& id, Form form) {
  auto review = api.status(id);
  if (!review.has_value()) return tl::unexpected(std::move(review).error());
  if (review->state != protocol::ReviewState::kDone) {
    if (form == Form::kJson) {
      fmt::print("{}\n", protocol::to_json(*review).dump(2));
    } else {
      fmt::print("{}: {}{}{}\n", review->id, state_of(*review), review->reason.empty() ? "" : ": ",
                 one_line(review->reason));
    }
    return Exit::kPass;
  }
  const auto valid = check_report(review->report);
  if (!valid.has_value()) {
    return stop(Exit::kInternal, "the report is not understood: " + valid.error().message);
  }
  fmt::print("{}", rendered(review->report, form, look_at_terminal().out_colours));
  return Exit::kPass;
}

Outcome<Exit> run_cancel(Api& api, const std::string& id, bool delete_finished) {
  // The daemon deletes a finished review on the same request: not what "cancel" asks for.
  auto review = api.status(id);
  if (!review.has_value()) return tl::unexpected(std::move(review).error());
  const bool finished = protocol::is_final(review->state);
  if (finished && !delete_finished) {
    fmt::print("{} has ended already ({}); --delete removes it with its report\n", id,
               protocol::to_string(review->state));
    return Exit::kPass;
  }
  auto removed = api.remove(id);
  if (!removed.has_value()) return tl::unexpected(std::move(removed).error());
  fmt::print("{} {}\n", id, finished ? "is deleted" : "is cancelled");
  return Exit::kPass;
}

Outcome<Exit> run_health(Api& api, bool as_json) {
  auto answer = api.health();
  if (!answer.has_value()) return tl::unexpected(std::move(answer).error());
  const protocol::Health& health = *answer;
  const Exit exit = health.status == "ok" ? Exit::kPass : Exit::kUnavailable;
  if (as_json) {
    fmt::print("{}\n", protocol::to_json(health));
    return exit;
  }
  const auto or_none = [](const std::string& text) {
    return text.empty() ? "none" : one_line(text);
  };
  fmt::print("status    {}{}{}\n", one_line(health.status), health.reason.empty() ? "" : ": ",
             one_line(health.reason));
  fmt::print("model     {}{}{}\n", or_none(health.model.name),
             health.model.loaded ? "" : " (not loaded)",
             health.model.drafter ? ", with a drafter" : "");
  fmt::print("device    {}{}{}\n", or_none(health.device.name),
             health.device.tier.empty() ? "" : ", tier " + one_line(health.device.tier),
             health.device.software ? ", software" : "");
  fmt::print("queue     {} running, {} waiting of {}\n", health.queue.running, health.queue.queued,
             health.queue.limit);
  fmt::print("spool     {} of {}, {} free on the disk\n", gib(health.spool.used_bytes),
             gib(health.spool.limit_bytes), gib(health.spool.free_disk_bytes));
  fmt::print("database  {}\n", or_none(health.database));
  if (health.last_fault.at_ms > 0) {
    fmt::print("fault     {} {}\n", local_time(health.last_fault.at_ms),
               one_line(health.last_fault.message));
  }
  fmt::print("version   {}\n", or_none(health.version));
  return exit;
}

}  // namespace preflight::client
