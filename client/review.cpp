#include <chrono>
#include <cstdlib>
#include <fstream>

#include <unistd.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "client/commands.h"
#include "client/progress.h"
#include "client/terminal_text.h"
#include "daemon/protocol/bundle_fields.h"

namespace preflight::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A bundle directory is meant by itself or by its bundle.json; other files are told by their names.
Outcome<Upload> upload_of(const ReviewCommand& command, fs::path& directory) {
  std::error_code error;
  const fs::path& target = command.target;
  if (fs::is_directory(target, error) || target.filename() == "bundle.json") {
    if (command.has_flags) {
      return stop(
          Exit::kUsage,
          "a bundle directory says everything itself: flags such as --video go without one");
    }
    directory = fs::is_directory(target, error) ? target : target.parent_path();
    if (directory.empty()) directory = ".";
    return upload_from_directory(directory);
  }
  BundleFlags flags = command.flags;
  if (!target.empty()) {
    if (!fs::exists(target, error)) {
      return stop(Exit::kUsage, fmt::format("there is no file or directory {}", target.string()));
    }
    const std::string extension = target.extension().string();
    const auto is_one_of = [&](std::string_view list) {
      return !extension.empty() && list.find(extension + " ") != std::string_view::npos;
    };
    if (is_one_of(".wav .flac .ogg .mp3 .m4a ")) {
      flags.voiceover = target;
    } else if (is_one_of(".png .jpg .jpeg .webp ")) {
      flags.images.insert(flags.images.begin(), target);
    } else {
      flags.video = target;
    }
  }
  const char* lang = std::getenv("LANG");
  return upload_from_flags(flags, lang == nullptr ? "" : lang);
}

// What is wrong before anything is sent; the daemon checks again.
Outcome<void> check_upload(const Upload& upload, const fs::path& directory, const fs::path& rules,
                           Progress& progress) {
  auto options = lint_options(rules);
  if (!options.has_value()) return tl::unexpected(std::move(options).error());
  protocol::BundleReading reading;
  if (directory.empty()) {
    protocol::read_bundle_fields(json::parse(upload.bundle_json, nullptr, false), *options,
                                 reading);
  } else {
    reading = protocol::read_bundle(directory, *options);
  }
  if (!reading.usable()) return stop(Exit::kUsage, problem_lines(reading.problems));
  const std::string lines = problem_lines(reading.problems);
  if (!lines.empty()) progress.line(lines);
  return {};
}

// What the newest finished review took is the best guess at what this one will take.
std::string expectation_of(Api& api, const protocol::Health& health, bool facts_only) {
  if (facts_only) return "expected: some seconds (measured rows only)";
  if (health.status == "degraded") {
    return one_line("measured rows only, the model is not ready: " + health.reason);
  }
  const std::string loading = health.status == "starting" ? "the model is still loading; " : "";
  const std::string device =
      health.device.name.empty() ? "no device yet" : one_line(health.device.name);
  const auto list = api.list();
  if (list.has_value()) {
    for (const protocol::ReviewStatus& review : *list) {
      if (review.state != protocol::ReviewState::kDone || review.facts_only) continue;
      const auto seconds =
          std::max<std::int64_t>(1, (review.finished_ms - review.started_ms) / 1000);
      return fmt::format("{}expected: about {} s, as long as {} took here ({})", loading, seconds,
                         one_line(review.bundle_id), device);
    }
  }
  return fmt::format(
      "{}expected: not known before the first review on this device ({}); a film of 15 s "
      "is about 8,600 tokens, {}",
      loading, device,
      health.device.software ? "many minutes for a large model on a CPU"
                             : "100 s for a large model on a laptop's graphics");
}

Outcome<void> write_file(const fs::path& path, const std::string& text) {
  // Beside its place and then renamed: who reads it never sees half a report.
  const fs::path part = path.string() + ".part";
  std::ofstream out(part, std::ios::binary);
  out << text;
  out.close();
  std::error_code error;
  if (out) fs::rename(part, path, error);
  if (!out || error) {
    fs::remove(part, error);
    return stop(Exit::kInternal, fmt::format("{} cannot be written", path.string()));
  }
  return {};
}

// Gives the review up; whatever comes of it, the user is told where it stands.
tl::unexpected<Failure> give_up(const ReviewCommand& command, const Api::Options& options,
                                const std::string& id, bool interrupted) {
  if (!interrupted) {
    return stop(Exit::kStopped,
                fmt::format("not finished after {:g} s; the review goes on: qa-client show {}",
                            command.timeout_s.value_or(0), id));
  }
  Api api({.socket = options.socket,
           .interrupted = [] { return false; },
           .deadline = Api::Clock::now() + std::chrono::seconds(5),
           .on_absence = nullptr});
  const bool removed = api.remove(id).has_value();
  return stop(Exit::kStopped, removed ? fmt::format("interrupted; review {} is cancelled", id)
                                      : fmt::format("interrupted; qa-client cancel {}", id));
}

}  // namespace

Terminal look_at_terminal() {
  const char* no_colour = std::getenv("NO_COLOR");
  const char* term = std::getenv("TERM");
  const bool dumb = term == nullptr || std::string_view(term) == "dumb";
  const bool colours = !dumb && (no_colour == nullptr || *no_colour == '\0');
  const bool err_terminal = !dumb && isatty(STDERR_FILENO) != 0;
  return {.out_colours = colours && isatty(STDOUT_FILENO) != 0,
          .err_terminal = err_terminal,
          .err_colours = colours && err_terminal};
}

std::string rendered(const json& report, Form form, bool colours) {
  switch (form) {
    case Form::kJson:
      return report.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
    case Form::kCsv:
      return csv_of(report);
    case Form::kTable:
      break;
  }
  return table_of(report, colours);
}

Outcome<Exit> run_review(const ReviewCommand& command, Api::Options options) {
  const Terminal terminal = look_at_terminal();
  Progress progress({.terminal = terminal.err_terminal, .colours = terminal.err_colours});

  fs::path directory;
  auto upload = upload_of(command, directory);
  if (!upload.has_value()) return tl::unexpected(std::move(upload).error());
  auto checked = check_upload(*upload, directory, command.rules, progress);
  if (!checked.has_value()) return tl::unexpected(std::move(checked).error());
  for (const std::string& file : upload->left_out) progress.line("not sent: " + one_line(file));
  if (!command.save_bundle.empty()) {
    auto saved = save_bundle(*upload, command.save_bundle);
    if (!saved.has_value()) return tl::unexpected(std::move(saved).error());
  }

  options.on_absence = [&progress](const std::string& message) {
    progress.line(message + "; waiting for it to come back");
  };
  if (command.timeout_s.has_value()) {
    options.deadline = Api::Clock::now() + std::chrono::duration_cast<Api::Clock::duration>(
                                               std::chrono::duration<double>(*command.timeout_s));
  }
  Api api(options);
  auto health = api.health();
  if (!health.has_value()) return tl::unexpected(std::move(health).error());
  progress.line(expectation_of(api, *health, command.facts_only));
  auto review = api.submit(*upload, command.facts_only);
  if (!review.has_value()) return tl::unexpected(std::move(review).error());
  const std::string id = review->id;
  progress.line(fmt::format("review {}{}", id,
                            review->ahead > 0 ? fmt::format(", {} before it", review->ahead) : ""));

  auto followed = api.follow(id, [&](const protocol::Event& event) { progress.show(event); });
  if (followed.has_value()) {
    review = api.status(id);
    if (!review.has_value()) followed = tl::unexpected(review.error());
  }
  if (!followed.has_value()) {
    if (followed.error().exit != Exit::kStopped) return tl::unexpected(std::move(followed).error());
    return give_up(command, options, id, options.interrupted());
  }
  if (review->state == protocol::ReviewState::kCancelled) {
    return stop(Exit::kStopped,
                fmt::format("the review was cancelled: {}", one_line(review->reason)));
  }
  if (review->state != protocol::ReviewState::kDone) {
    const bool at_fault = review->reason.starts_with(protocol::kBundleRefused);
    return stop(at_fault ? Exit::kUsage : Exit::kInternal,
                fmt::format("the review failed: {}", one_line(review->reason)));
  }
  const auto valid = check_report(review->report);
  if (!valid.has_value()) {
    return stop(Exit::kInternal, "the report is not understood: " + valid.error().message);
  }

  const bool raw = command.out.empty() && command.form != Form::kTable;
  fmt::print("{}",
             rendered(review->report, raw ? command.form : Form::kTable, terminal.out_colours));
  if (!command.out.empty()) {
    const Form form = command.form == Form::kCsv ? Form::kCsv : Form::kJson;
    auto written = write_file(command.out, rendered(review->report, form, false));
    if (!written.has_value()) return tl::unexpected(std::move(written).error());
    fmt::print("full report: {}\n", command.out.string());
  } else if (!raw) {
    fmt::print("full report: qa-client show {} --json\n", id);
  }

  if (command.exit_zero) return Exit::kPass;
  if (!command.facts_only && !model_took_part(review->report)) return Exit::kUnavailable;
  return exit_of(review->report, command.fail_on);
}

}  // namespace preflight::client
