#include "engine/run/plan.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/engine.h"
#include "engine/run/command.h"
#include "engine/run/engine_options.h"

namespace preflight::run {
namespace {

struct PlanOptions {
  EngineOptions engine;
  std::uint32_t sequences = 1;
  bool json = false;
};

std::string as_text(const engine::PlanReport& report) {
  const engine::MemoryPlan& memory = report.memory;
  std::string text = fmt::format("{}, tier {}, {} tokens of context for {} sequence{}\n",
                                 report.device, vk::name(report.tier), report.context_tokens,
                                 report.max_sequences, report.max_sequences == 1 ? "" : "s");
  const std::vector<std::pair<const char*, std::uint64_t>> lines = {
      {"weights", memory.weights_bytes},   {"KV cache", memory.pages_bytes},
      {"scratch", memory.arena_bytes},     {"staging", memory.staging_bytes},
      {"drafter", memory.drafter_bytes},   {"all", memory.total_bytes()},
      {"free there", memory.budget_bytes},
  };
  for (const auto& [what, bytes] : lines)
    text += fmt::format("    {:<10} {:>9.1f} MB\n", what, static_cast<double>(bytes) / 1e6);
  return text + (report.refusal.empty() ? "it fits\n" : report.refusal + "\n");
}

std::string as_json(const engine::PlanReport& report) {
  const engine::MemoryPlan& memory = report.memory;
  const nlohmann::ordered_json out = {{"device", report.device},
                                      {"tier", vk::name(report.tier)},
                                      {"context_tokens", report.context_tokens},
                                      {"max_sequences", report.max_sequences},
                                      {"weights_bytes", memory.weights_bytes},
                                      {"pages_bytes", memory.pages_bytes},
                                      {"arena_bytes", memory.arena_bytes},
                                      {"staging_bytes", memory.staging_bytes},
                                      {"drafter_bytes", memory.drafter_bytes},
                                      {"total_bytes", memory.total_bytes()},
                                      {"budget_bytes", memory.budget_bytes},
                                      {"fits", report.refusal.empty()}};
  return out.dump() + "\n";
}

Result<void> run_plan(const PlanOptions& options) {
  engine::EngineOptions engine_options = to_engine_options(options.engine);
  engine_options.max_sequences = options.sequences;
  PREFLIGHT_TRY(const engine::PlanReport report, engine::plan(engine_options));
  return write_stdout(options.json ? as_json(report) : as_text(report));
}

}  // namespace

void add_plan(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<PlanOptions>();
  options->engine.context_tokens = 16384;
  CLI::App* command =
      app.add_subcommand("plan", "The memory that a model would take, without loading it");
  add_engine_options(*command, options->engine);
  command->add_option("--drafter", options->engine.drafter,
                      "GGUF file or Hugging Face directory of the model's drafter");
  command->add_option("--sequences", options->sequences, "open at once; default 1")
      ->check(CLI::Range(1, 256));
  command->add_flag("--json", options->json, "the figures in bytes, as JSON");
  command->callback([options, &outcome] { outcome = run_plan(*options); });
}

}  // namespace preflight::run
