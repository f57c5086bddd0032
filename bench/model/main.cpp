// bench-model: a whole model on one device.
//   bench-model --model F.gguf [--prefill 128,512,2048] [--depths 0,2048,8192]
//               [--rows 1,2,4,8,16,32] [--verify 2,3,4,5,6,7,8] [--tokens N] [--repeats N]
//               [--limits] [--start]
//               [--csv F] [--json F] [--drafter D.gguf --prompts F.txt]
// Lists that are not given are left out; --all measures them all at the sizes above, and on
// anything but a CPU device depth 32768 as well.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/model/clock.h"
#include "bench/model/device.h"
#include "bench/model/drafts.h"
#include "bench/model/first_token.h"
#include "bench/model/options.h"
#include "bench/model/processor.h"
#include "bench/model/rates.h"
#include "bench/model/results.h"
#include "bench/model/shares.h"

namespace preflight::bench {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

/// The most memory that the process has held, mapped files included; 0 where the system does not
/// say.
double peak_process_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      double kilobytes = 0;
      status >> kilobytes;
      return 1024 * kilobytes;
    }
  return 0;
}

/// Every list at its full size.
Result<void> take_all(ModelOptions& options) {
  PREFLIGHT_TRY(const vk::Device device, vk::Device::create(options.engine_options().device));
  options.prefill_tokens = {128, 512, 2048};
  options.depth_tokens = {0, 2048, 8192};
  if (!device.description().software) options.depth_tokens.push_back(32768);  // hours on a CPU
  options.decode_rows = {1, 2, 4, 8, 16, 32};
  options.verify_drafts = {2, 3, 4, 5, 6, 7, 8};
  options.limits = options.start = true;
  return {};
}

Result<void> measure(ModelOptions options, const std::filesystem::path& prompts) {
  if (!prompts.empty()) {
    PREFLIGHT_TRY(options.prompts, read_prompts(prompts));
  }
  std::vector<Figure> figures;
  const auto take = [&](Result<std::vector<Figure>> more) -> Result<void> {
    PREFLIGHT_TRY(const std::vector<Figure> measured, std::move(more));
    figures.insert(figures.end(), measured.begin(), measured.end());
    return {};
  };
  if (options.start) PREFLIGHT_TRY_VOID(take(measure_start(options)));
  // As loading will find it. A checkpoint in a folder is many files.
  if (options.limits && std::filesystem::is_regular_file(options.model))
    PREFLIGHT_TRY_VOID(take(measure_file(options)));
  const auto start = Clock::now();
  PREFLIGHT_TRY(auto engine, engine::Engine::load(options.engine_options()));
  figures.push_back(Figure::of("load", "s", {seconds_since(start)}));
  PREFLIGHT_TRY_VOID(take(measure_prefill(*engine, options)));
  PREFLIGHT_TRY_VOID(take(measure_depths(*engine, options)));
  PREFLIGHT_TRY_VOID(take(measure_rows(*engine, options)));
  PREFLIGHT_TRY_VOID(take(measure_verify(*engine, options)));
  PREFLIGHT_TRY_VOID(take(measure_drafts(*engine, options)));
  figures.push_back(Figure::of("peak_device_memory", "bytes",
                               {static_cast<double>(engine->peak_device_bytes())}));
  figures.push_back(Figure::of("peak_process_memory", "bytes", {peak_process_bytes()}));
  // Behind the peak, which their buffers would raise, and without the engine's own.
  Subject subject{.device = engine->device(),
                  .tier = engine->tier(),
                  .config = engine->config(),
                  .file_bytes = 0};
  engine.reset();
  if (!options.depth_tokens.empty() || !options.prefill_tokens.empty())
    PREFLIGHT_TRY_VOID(take(measure_processor(subject, options)));
  if (options.limits) PREFLIGHT_TRY_VOID(take(measure_device(subject, options)));
  std::error_code unknown;
  subject.file_bytes = std::filesystem::file_size(options.model, unknown);
  if (!unknown) PREFLIGHT_TRY_VOID(take(shares(subject, figures)));
  return report(options, subject, figures);
}

int run(int argc, char** argv) {
  CLI::App app("A whole model on one device", "bench-model");
  ModelOptions options;
  std::string cache_dir;
  std::filesystem::path prompts;
  bool all = false;
  app.add_option("--model", options.model, "GGUF file")->required();
  app.add_option("--device", options.device, "part of the device's name, in any letter case");
  app.add_option("--tier", options.tier, "kernels to use; default: the device's best")
      ->check(CLI::IsMember({"base", "f16", "dot", "coopmat"}));
  app.add_option("--prefill", options.prefill_tokens, "lengths of prompts")->delimiter(',');
  app.add_option("--depths", options.depth_tokens, "tokens before one row decodes")->delimiter(',');
  app.add_option("--rows", options.decode_rows, "rows that decode together")->delimiter(',');
  app.add_option("--verify", options.verify_drafts, "drafts of one sequence, in one step")
      ->delimiter(',')
      ->check(CLI::Range(1, 31));
  app.add_option("--tokens", options.decode_tokens, "steps of each decode; default 16")
      ->check(CLI::PositiveNumber);
  app.add_option("--repeats", options.repeats, "samples of each figure; default 3")
      ->check(CLI::PositiveNumber);
  CLI::Option* drafter =
      app.add_option("--drafter", options.drafter, "the model's drafter, to compare with none");
  app.add_option("--prompts", prompts, "text file, one prompt a line, for --drafter")
      ->needs(drafter);
  app.add_flag("--limits", options.limits,
               "what the device and the file can do, and the figures' shares of it");
  app.add_flag("--start", options.start, "from the start of a process to its first token");
  app.add_flag("--all", all, "every list at its full size");
  app.add_option("--csv", options.csv, "also write the figures here");
  app.add_option("--json", options.json, "also write the figures here");
  app.add_option("--first-token", cache_dir, "what --start runs")->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    static_cast<void>(std::fprintf(stderr, "bench-model: %s\n", error.what()));
    return kUsage;
  }
  Result<void> done;
  if (all) done = take_all(options);
  if (done)
    done = cache_dir.empty() ? measure(options, prompts) : say_first_token(options, cache_dir);
  if (done) return 0;
  static_cast<void>(std::fprintf(stderr, "bench-model: %s\n", done.error().message.c_str()));
  return kFailed;
}

}  // namespace
}  // namespace preflight::bench

int main(int argc, char** argv) { return preflight::bench::run(argc, argv); }
