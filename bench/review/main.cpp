// bench-review: the review workload (bench/review_workload makes it) on our engine.
//   bench-review --model F.gguf --workload W.json [--device PART] [--tier base|f16|dot|coopmat]
// Prints one JSON object.

#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "bench/review/review.h"

namespace preflight::bench {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Options {
  std::string model, workload, device, tier;
};

Result<void> measure(const Options& options) {
  PREFLIGHT_TRY(const Workload workload, read_workload(options.workload));
  engine::EngineOptions engine_options;
  engine_options.model = options.model;
  engine_options.device.name_contains = options.device;
  engine_options.tier = vk::tier_named(options.tier);
  engine_options.max_sequences = review_sequences(workload);
  engine_options.context_tokens = review_tokens(workload);
  PREFLIGHT_TRY(const auto engine, engine::Engine::load(engine_options));
  PREFLIGHT_TRY(const ReviewCost cost, review(*engine, workload));
  const nlohmann::ordered_json said = {{"device", engine->device().name},
                                       {"driver", fmt::format("{} {}", engine->device().driver_name,
                                                              engine->device().driver_version)},
                                       {"seconds", cost.seconds},
                                       {"answers", cost.answers},
                                       {"read_tokens", cost.read_tokens},
                                       {"cached_tokens", cost.cached_tokens},
                                       {"written_tokens", cost.written_tokens},
                                       {"forced_tokens", cost.forced_tokens},
                                       {"steps", cost.steps},
                                       {"saved_steps", cost.saved_steps},
                                       {"draft_saved_steps", cost.draft_saved_steps},
                                       {"tokens_per_step", cost.tokens_per_step()},
                                       {"peak_device_bytes", engine->peak_device_bytes()}};
  fmt::print("{}\n", said.dump());
  return {};
}

int run(int argc, char** argv) {
  CLI::App app("The review workload on our engine", "bench-review");
  Options options;
  app.add_option("--model", options.model, "GGUF file")->required();
  app.add_option("--workload", options.workload, "JSON file of bench/review_workload")->required();
  app.add_option("--device", options.device, "part of the device's name, in any letter case");
  app.add_option("--tier", options.tier, "kernels to use; default: the device's best")
      ->check(CLI::IsMember({"base", "f16", "dot", "coopmat"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    static_cast<void>(std::fprintf(stderr, "bench-review: %s\n", error.what()));
    return kUsage;
  }
  const Result<void> done = measure(options);
  if (done) return 0;
  static_cast<void>(std::fprintf(stderr, "bench-review: %s\n", done.error().message.c_str()));
  return kFailed;
}

}  // namespace
}  // namespace preflight::bench

int main(int argc, char** argv) { return preflight::bench::run(argc, argv); }
