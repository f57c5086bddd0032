#include "daemon/tune.h"

#include <cstdio>

#include <fmt/format.h>

#include "daemon/review/engine_options.h"
#include "engine/engine.h"

namespace preflight::daemon {

Result<void> tune_device(const ReviewerSettings& settings) {
  if (settings.model.empty())
    return fail(ErrorCode::kInvalidInput, "tuning measures a model, and none is set (model.path)");
  const auto say = [](const engine::TuneTrial& trial) {
    const std::string what = trial.field.empty() ? "as the table has it"
                                                 : fmt::format("{} {}", trial.field, trial.value);
    fmt::print("{:<24} prompt {:9.2f} ms, step {:8.3f} ms{}\n", what, trial.times.prefill_ms,
               trial.times.step_ms, trial.taken && !trial.field.empty() ? "  taken" : "");
    static_cast<void>(std::fflush(stdout));
  };
  PREFLIGHT_TRY(const engine::TuneResult result, engine::tune(engine_options(settings), say));
  fmt::print("{}: prompt {:.2f} -> {:.2f} ms, step {:.3f} -> {:.3f} ms; kept in {}\n",
             result.device, result.before.prefill_ms, result.after.prefill_ms,
             result.before.step_ms, result.after.step_ms, result.file.string());
  return {};
}

}  // namespace preflight::daemon
