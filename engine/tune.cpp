// Which sizes of the tuning table are the fastest on this device, measured with the user's model.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/engine.h"
#include "engine/forward/tuning_file.h"
#include "engine/plain_prompt.h"

namespace preflight::engine {
namespace {

constexpr int kRounds = 3;
constexpr double kWorthIt = 0.97;  // of the time so far: below that, noise decides

/// Work as reviews have it, small enough for a CPU device.
struct Workload {
  std::uint32_t prompt_tokens, answer_tokens;
};

Result<TuneTimes> run_once(Engine& engine, const Workload& work) {
  PREFLIGHT_TRY(const std::vector<Input> inputs,
                plain_prompt(*engine.vocabulary(), work.prompt_tokens, /*seed=*/0));
  const Meter before = engine.meter();
  GenerateRow row;
  PREFLIGHT_TRY(row.sequence, engine.open());
  row.max_tokens = work.answer_tokens;
  PREFLIGHT_TRY_VOID(engine.prefill(row.sequence, inputs));
  PREFLIGHT_TRY([[maybe_unused]] const auto answer, engine.generate({&row, 1}));
  engine.close(row.sequence);
  const Meter& after = engine.meter();
  // A stop token may end the answer early.
  const auto n = static_cast<double>(after.narrow_steps - before.narrow_steps);
  return TuneTimes{
      .prefill_ms = 1000 * (after.prefill_seconds - before.prefill_seconds),
      .step_ms = 1000 * (after.generate_seconds - before.generate_seconds) / std::max(n, 1.0)};
}

Result<TuneTimes> measure(const EngineOptions& options) {
  PREFLIGHT_TRY(const std::unique_ptr<Engine> engine, Engine::load(options));
  const Workload work = engine->device().software
                            ? Workload{.prompt_tokens = 64, .answer_tokens = 6}
                            : Workload{.prompt_tokens = 512, .answer_tokens = 32};
  TuneTimes best;
  for (int round = 0; round <= kRounds; round++) {
    PREFLIGHT_TRY(const TuneTimes times, run_once(*engine, work));
    if (round == 0) continue;  // compiles pipelines, measures rates
    // The least: whatever else the machine does only adds.
    const bool first = round == 1;
    best.prefill_ms = first ? times.prefill_ms : std::min(best.prefill_ms, times.prefill_ms);
    best.step_ms = first ? times.step_ms : std::min(best.step_ms, times.step_ms);
  }
  return best;
}

/// Time relative to `base`, prompt and answer counting the same.
double cost(const TuneTimes& times, const TuneTimes& base) {
  return std::sqrt(times.prefill_ms / base.prefill_ms * (times.step_ms / base.step_ms));
}

void set(std::vector<forward::TunedValue>& values, std::string_view field, std::uint32_t value) {
  for (forward::TunedValue& known : values)
    if (known.field == field) {
      known.value = value;
      return;
    }
  values.push_back({std::string(field), value});
}

}  // namespace

Result<TuneResult> tune(const EngineOptions& options,
                        const std::function<void(const TuneTrial&)>& on_trial) {
  if (options.device.cache_dir.empty())
    return fail(ErrorCode::kInvalidInput, "tuning needs a cache folder to keep its result in");
  PREFLIGHT_TRY(const std::vector<vk::DeviceDescription> devices, vk::list_devices(options.device));
  const auto device = std::find_if(devices.begin(), devices.end(),
                                   [](const vk::DeviceDescription& d) { return d.chosen; });
  if (device == devices.end())
    return fail(ErrorCode::kNotFound, "there is no usable Vulkan device");

  EngineOptions trial = options;
  trial.drafter.clear();
  trial.max_sequences = 1;
  trial.max_bookmarks = 0;
  trial.context_tokens = 1024;
  trial.tuned.emplace();
  PREFLIGHT_TRY(const TuneTimes base, measure(trial));
  TuneTimes best = base;
  std::vector<forward::TunedValue> taken;
  const auto report = [&](std::string_view field, std::uint32_t value, const TuneTimes& times,
                          bool is_taken) {
    if (on_trial) on_trial({std::string(field), value, times, is_taken});
  };
  report("", 0, base, true);
  for (const forward::TuningField& field : forward::tuning_fields()) {
    // Other tiers do not read it.
    if (field.member == &forward::Tuning::coopmat_tile &&
        forward::tuning_for(*device).tier != vk::Tier::kCoopmat)
      continue;
    std::vector<std::uint32_t> tried = {forward::tuning_for(*device, taken).*field.member};
    for (const std::uint32_t candidate : field.candidates) {
      if (candidate == 0) continue;
      std::vector<forward::TunedValue> values = taken;
      set(values, field.name, candidate);
      const std::uint32_t value = forward::tuning_for(*device, values).*field.member;
      if (std::find(tried.begin(), tried.end(), value) != tried.end()) continue;
      tried.push_back(value);
      set(values, field.name, value);
      trial.tuned = values;
      PREFLIGHT_TRY(const TuneTimes times, measure(trial));
      const bool better = cost(times, base) < kWorthIt * cost(best, base);
      report(field.name, value, times, better);
      if (!better) continue;
      best = times;
      taken = std::move(values);
    }
  }
  // Both again, one after the other: a winner by accident does not win twice.
  TuneResult result{
      .device = device->name, .values = {}, .file = {}, .before = base, .after = best};
  if (!taken.empty()) {
    trial.tuned.emplace();
    PREFLIGHT_TRY(result.before, measure(trial));
    trial.tuned = taken;
    PREFLIGHT_TRY(result.after, measure(trial));
    if (cost(result.after, result.before) >= kWorthIt) {
      taken.clear();
      result.after = result.before;
    }
  }
  PREFLIGHT_TRY(result.file, forward::write_tuned(options.device.cache_dir, *device, taken));
  result.values = std::move(taken);
  return result;
}

}  // namespace preflight::engine
