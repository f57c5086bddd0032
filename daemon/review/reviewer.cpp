// The Reviewer of daemon/review_job.h: bundle, measured rows, passes, report.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <mutex>
#include <span>
#include <utility>

#include <unistd.h>

#include <fmt/format.h>

#include "daemon/protocol/bundle.h"
#include "daemon/protocol/review_status.h"
#include "daemon/protocol/sha256.h"
#include "daemon/review/checks.h"
#include "daemon/review/engine_options.h"
#include "daemon/review/material.h"
#include "daemon/review/model_session.h"
#include "daemon/review/passes.h"
#include "daemon/review/report.h"
#include "daemon/review/rules.h"
#include "daemon/review/text_rows.h"
#include "daemon/review_job.h"
#include "daemon/version.h"
#include "vk/build_id.h"

namespace preflight::daemon {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

/// "2026-11-21" or "2026-11-21T10:20:30Z".
std::string utc_now(const char* format) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  if (::gmtime_r(&now, &parts) == nullptr) return {};
  char text[32] = {};
  return std::string(text, std::strftime(text, sizeof(text), format, &parts));
}

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// "1.3.230" of the API's packing.
std::string vulkan_version(std::uint32_t packed) {
  return fmt::format("{}.{}.{}", packed >> 22 & 0x7f, packed >> 12 & 0x3ff, packed & 0xfff);
}

/// Of the linker's build id, which the program's content decides: what else than its inputs a
/// report depends on. Reading the program itself would hold up every start.
std::string build_digest() {
  const auto id = vk::build_id();
  protocol::Sha256 hash;
  hash.update(std::as_bytes(std::span(id)));
  return "sha256:" + hash.finish();
}

std::string_view tier_name(vk::Tier tier) {
  switch (tier) {
    case vk::Tier::kBase:
      return "base";
    case vk::Tier::kF16:
      return "f16";
    case vk::Tier::kDot:
      return "dot";
    case vk::Tier::kCoopmat:
      return "coopmat";
  }
  return "base";
}

/// One sentence out of everything that keeps a bundle from being reviewed.
std::string refusal(const protocol::Problems& problems) {
  constexpr std::size_t kShown = 3;
  std::string text;
  std::size_t n = 0;
  for (const protocol::Problem& problem : problems.errors) {
    if (problem.asset >= 0) continue;
    if (n++ >= kShown) continue;
    if (!text.empty()) text += "; ";
    text += fmt::format("{}{}{} ({})", problem.pointer, problem.pointer.empty() ? "" : ": ",
                        problem.message, problem.code);
  }
  if (n > kShown) text += fmt::format("; and {} more", n - kShown);
  return fmt::format("{}{}", protocol::kBundleRefused, text);
}

class BundleReviewer : public Reviewer {
 public:
  BundleReviewer(ReviewerSettings settings, review::RuleSet rules, review::CheckSet checks)
      : settings_(std::move(settings)), rules_(std::move(rules)), checks_(std::move(checks)) {
    health_.reason = settings_.model.empty() ? "no model is set" : "the model is not loaded yet";
    health_.loading = !settings_.model.empty();
  }

  void start(const std::function<bool()>& heartbeat) override { load_engine(heartbeat); }

  EngineHealth health() const override {
    EngineHealth out;
    {
      const std::lock_guard lock(mutex_);
      out = health_;
    }
    if (::access(settings_.decoder.c_str(), X_OK) != 0)
      out.decoder_fault = fmt::format("the media decoder {} cannot be run: {}",
                                      settings_.decoder.string(), std::strerror(errno));
    return out;
  }

  Result<Json> run(const ReviewInput& input, const ReviewEvents& events) override {
    auto report = review(input, events);
    if (!report && report.error().code == ErrorCode::kDeviceLost) {
      session_.reset();
      engine_.reset();
      const std::lock_guard lock(mutex_);
      health_.loaded = false;
      health_.reason = report.error().message;
      health_.last_fault = report.error().message;
      health_.last_fault_ms = now_ms();
    }
    return report;
  }

 private:
  void load_engine(const std::function<bool()>& heartbeat) {
    if (settings_.model.empty()) return;
    {
      const std::lock_guard lock(mutex_);
      health_.loading = true;
      health_.reason = "the model is being loaded";
    }
    auto loaded = try_load(heartbeat);
    const std::lock_guard lock(mutex_);
    health_.loading = false;
    health_.loaded = loaded.has_value();
    if (!loaded) {
      session_.reset();
      engine_.reset();
      health_.reason = loaded.error().message;
      return;
    }
    health_.reason.clear();
    const vk::DeviceDescription& device = engine_->device();
    health_.model_name = engine_->config().name;
    health_.model_digest = engine_->model_digest();
    health_.drafter = engine_->has_drafter();
    health_.device = device.name;
    health_.weight_types = engine_->config().weight_types;
    health_.vulkan = vulkan_version(device.api_version);
    health_.driver = fmt::format("{} {}", device.driver_name, device.driver_version);
    health_.tier = std::string(tier_name(engine_->tier()));
    health_.software = device.software;
  }

  Result<void> try_load(const std::function<bool()>& heartbeat) {
    if (heartbeat && heartbeat()) return fail(ErrorCode::kCancelled, "the service is stopping");
    PREFLIGHT_TRY(engine_, engine::Engine::load(engine_options(settings_)));
    session_.emplace(*engine_);
    return {};
  }

  Result<Json> review(const ReviewInput& input, const ReviewEvents& events) {
    const std::string started = utc_now("%Y-%m-%dT%H:%M:%SZ");
    const auto begin = Clock::now();
    PREFLIGHT_TRY(const protocol::BundleReading reading, read(input));
    const protocol::Bundle& bundle = reading.bundle;
    if (!input.facts_only && !session_ && !settings_.model.empty()) load_engine(events.cancelled);
    const bool with_model = !input.facts_only && session_.has_value();

    PREFLIGHT_TRY(review::Material material, open(reading, input, events, with_model));
    const double decode_s = seconds_since(begin);
    const Json facts = measure(bundle, material, started.substr(0, 10));
    events.emit({{"event", "rows"}, {"rows", facts}});

    review::ReportParts parts;
    parts.reading = &reading;
    parts.rules = &rules_;
    parts.checks = &checks_;
    parts.facts = facts;
    parts.run = {{"tool", fmt::format("preflightd {}", kVersion)},
                 {"build", build_},
                 {"started", started},
                 {"facts_only", input.facts_only},
                 {"decode", "greedy"},
                 {"seed", 0}};
    Json seconds = {{"decode", decode_s}};
    if (with_model) {
      PREFLIGHT_TRY_VOID(ask_model(bundle, material, input, events, parts, seconds));
    } else {
      add_unchecked_rows(bundle, input, events, parts);
    }
    seconds["total"] = seconds_since(begin);
    parts.run["seconds"] = std::move(seconds);
    return review::make_report(parts);
  }

  Result<protocol::BundleReading> read(const ReviewInput& input) const {
    protocol::BundleOptions options;
    options.known_placements = rules_.placement_names();
    options.today = utc_now("%Y-%m-%d");
    options.limits.bundle_bytes = settings_.max_bundle_bytes;
    options.limits.files = settings_.max_files;
    options.limits.json_bytes = settings_.max_json_bytes;
    options.limits.text_bytes = settings_.max_text_bytes;
    options.limits.image_bytes = settings_.max_image_bytes;
    protocol::BundleReading reading = protocol::read_bundle(input.spool_dir, options);
    if (!reading.usable()) return fail(ErrorCode::kInvalidInput, refusal(reading.problems));
    return reading;
  }

  Result<review::Material> open(const protocol::BundleReading& reading, const ReviewInput& input,
                                const ReviewEvents& events, bool with_model) const {
    media::DecoderOptions decoding;
    decoding.program = settings_.decoder;
    decoding.limits.wall =
        std::chrono::milliseconds(static_cast<std::int64_t>(settings_.decode_timeout_s * 1000));
    decoding.limits.cpu_s = static_cast<std::uint32_t>(std::max(1.0, settings_.decode_timeout_s));
    decoding.limits.memory_bytes = settings_.decode_memory_bytes;
    decoding.limits.image_bytes = settings_.max_image_bytes;
    decoding.limits.image_pixels = settings_.max_image_pixels;
    decoding.limits.video_s = settings_.max_video_s;
    decoding.limits.sound_s = settings_.max_audio_s;
    decoding.cancelled = events.cancelled;
    PREFLIGHT_TRY(const media::Decoder decoder, media::Decoder::create(std::move(decoding)));
    review::MaterialOptions options;
    options.decoder = &decoder;
    options.for_model = with_model;
    options.clip_s = checks_.limits.clip_s;
    options.max_frames = checks_.limits.frames;
    options.cancelled = events.cancelled;
    options.on_asset = [&events](const std::string& asset) {
      events.emit({{"event", "decoding"}, {"asset", asset}});
    };
    if (const auto first = rules_.placements.find(reading.bundle.placements.front().id);
        first != rules_.placements.end())
      options.hook_window_s = first->second.hook_window_s;
    return review::open_material(reading, input.spool_dir, options);
  }

  /// All measured rows, each marked where its rule has grown old.
  Json measure(const protocol::Bundle& bundle, const review::Material& material,
               const std::string& today) const {
    Json rows = Json::array();
    const auto add = [&](const Json& more) {
      for (const Json& row : more) rows.push_back(row);
    };
    for (const review::AssetFacts& facts : material.facts) {
      add(review::rule_rows(bundle, rules_, facts.asset, to_string(facts.asset->role),
                            review::measure_asset(facts, rules_)));
    }
    add(review::rule_rows(bundle, rules_, nullptr, "copy", review::measure_copy(bundle)));
    add(review::text_rows(bundle, rules_));
    const std::string rules_until = review::date_after(rules_.as_of, rules_.stale_after_days);
    for (Json& row : rows) row["stale"] = !rules_until.empty() && today > rules_until;
    review::round_numbers(rows);
    return rows;
  }

  void add_unchecked_rows(const protocol::Bundle& bundle, const ReviewInput& input,
                          const ReviewEvents& events, review::ReportParts& parts) const {
    const std::string reason = input.facts_only
                                   ? std::string("measured rows only were asked for")
                                   : fmt::format("no model is loaded: {}", health().reason);
    const auto add = [&](const review::Check& check, const std::string* placement) {
      const Json row = review::unchecked_row(check, placement, reason);
      events.emit({{"event", "row"}, {"row", row}});
      parts.rows.push_back(row);
    };
    for (const review::Check& check : checks_.checks) {
      if (!check.per_placement) {
        add(check, nullptr);
        continue;
      }
      for (const protocol::PlacementUse& use : bundle.placements) add(check, &use.id);
    }
  }

  /// What health says of the work since the model was loaded.
  void note_work() {
    const review::PassWork work = session_->work();
    const std::lock_guard lock(mutex_);
    health_.prefilled_tokens = work.prefilled_tokens;
    health_.cached_tokens = work.cached_tokens;
    health_.generated_tokens = work.generated_tokens;
    health_.forced_tokens = work.forced_tokens;
    health_.saved_steps = work.saved_steps;
    health_.draft_saved_steps = work.draft_saved_steps;
  }

  Result<void> ask_model(const protocol::Bundle& bundle, review::Material& material,
                         const ReviewInput& input, const ReviewEvents& events,
                         review::ReportParts& parts, Json& seconds) {
    const EngineHealth about = health();
    review::PassInputs inputs;
    inputs.bundle = &bundle;
    inputs.material = &material;
    inputs.checks = &checks_;
    inputs.rules = &rules_;
    inputs.fact_rows = &parts.facts;
    inputs.work_dir = input.work_dir;
    inputs.key = protocol::sha256_hex(fmt::format(
        "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", build_, bundle.digest, rules_.digest, checks_.digest,
        about.model_digest, about.device, about.driver, about.tier, settings_.kv));
    review::PassEvents pass_events;
    pass_events.cancelled = events.cancelled;
    pass_events.row = [&events](const Json& row) {
      Json shown = row;
      review::round_numbers(shown);
      events.emit({{"event", "row"}, {"row", std::move(shown)}});
    };
    pass_events.prefill = [&events](const std::string& pass, std::uint64_t done,
                                    std::uint64_t total) {
      events.emit({{"event", "prefill"}, {"pass", pass}, {"done", done}, {"total", total}});
    };
    engine_->set_heartbeat([&events] { static_cast<void>(events.cancelled()); });
    auto passes = review::run_passes(*session_, inputs, pass_events);
    engine_->set_heartbeat({});
    note_work();
    if (!passes) return tl::unexpected(passes.error());

    parts.rows = std::move(passes->rows);
    parts.claims = std::move(passes->claims);
    Json heard = Json::array();
    for (std::size_t i = 0; i < passes->observations.heard.size(); ++i) {
      const review::Heard& entry = passes->observations.heard[i];
      const review::Clip& clip = material.clips[i];
      heard.push_back({{"clip", clip.id},
                       {"asset", clip.asset},
                       {"t0", clip.start_s},
                       {"t1", clip.end_s},
                       {"text", entry.text},
                       {"unclear", entry.unclear},
                       {"tone", entry.tones}});
    }
    Json screen = Json::array();
    for (const review::Seen& seen : passes->observations.screen)
      screen.push_back({{"frame", seen.frame}, {"text", seen.text}});
    parts.observations = {{"speech", std::move(heard)},
                          {"screen", std::move(screen)},
                          {"shown", passes->observations.shown}};
    parts.run["model"] = about.model_name;
    parts.run["model_digest"] = about.model_digest;
    parts.run["quant"] = about.weight_types;
    parts.run["device"] = about.device;
    parts.run["driver"] = about.driver;
    parts.run["vulkan"] = about.vulkan;
    parts.run["tier"] = about.tier;
    parts.run["frames_dropped"] = passes->frames_dropped;
    review::PassWork total;
    Json by_pass = Json::object();
    for (const auto& [pass, work] : passes->work) {
      by_pass[pass] = {
          {"prefix_cached", work.cached_tokens}, {"prefill", work.prefilled_tokens},
          {"generated", work.generated_tokens},  {"forced", work.forced_tokens},
          {"narrow_steps", work.narrow_steps},   {"wide_steps", work.wide_steps},
          {"saved_steps", work.saved_steps},     {"draft_saved_steps", work.draft_saved_steps}};
      seconds[pass] = work.seconds;
      total.prefilled_tokens += work.prefilled_tokens;
      total.generated_tokens += work.generated_tokens;
      total.forced_tokens += work.forced_tokens;
      total.cached_tokens += work.cached_tokens;
      total.narrow_steps += work.narrow_steps;
      total.wide_steps += work.wide_steps;
      total.saved_steps += work.saved_steps;
      total.draft_saved_steps += work.draft_saved_steps;
    }
    parts.run["tokens"] = {
        {"prefix_cached", total.cached_tokens}, {"prefill", total.prefilled_tokens},
        {"generated", total.generated_tokens},  {"forced", total.forced_tokens},
        {"narrow_steps", total.narrow_steps},   {"wide_steps", total.wide_steps},
        {"saved_steps", total.saved_steps},     {"draft_saved_steps", total.draft_saved_steps},
        {"by_pass", std::move(by_pass)}};
    return {};
  }

  ReviewerSettings settings_;
  review::RuleSet rules_;
  review::CheckSet checks_;
  std::unique_ptr<engine::Engine> engine_;
  std::optional<review::ModelSession> session_;
  const std::string build_ = build_digest();
  mutable std::mutex mutex_;
  EngineHealth health_;
};

}  // namespace

Result<std::unique_ptr<Reviewer>> make_reviewer(const ReviewerSettings& settings) {
  PREFLIGHT_TRY(review::RuleSet rules, review::load_rules(settings.rules_dir / "placements.json"));
  PREFLIGHT_TRY(review::CheckSet checks, review::load_checks(settings.rules_dir / "checks.json"));
  std::unique_ptr<Reviewer> reviewer =
      std::make_unique<BundleReviewer>(settings, std::move(rules), std::move(checks));
  return reviewer;
}

Result<std::string> check_rules(const std::filesystem::path& rules_dir) {
  PREFLIGHT_TRY(const review::RuleSet rules, review::load_rules(rules_dir / "placements.json"));
  PREFLIGHT_TRY(const review::CheckSet checks, review::load_checks(rules_dir / "checks.json"));
  return fmt::format("rules {} of {} for {} placements, checks {} of {}", rules.version,
                     rules.as_of, rules.placements.size(), checks.version, checks.as_of);
}

}  // namespace preflight::daemon
