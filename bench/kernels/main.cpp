// bench-kernels: every kernel of the decoder against its twin, then against the clock.
//   bench-kernels [--device PART] [--tier base|f16|dot|coopmat] [--shrink N]
//   [--benchmark_filter=REGEX
//   ...]

#include <cstdio>
#include <string>

#include <CLI/CLI.hpp>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "bench/kernels/bench.h"

namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

int run_benches(const preflight::bench::BenchOptions& options) {
  auto opened = preflight::bench::Bench::open(options);
  if (!opened) {
    static_cast<void>(std::fprintf(stderr, "bench-kernels: %s\n", opened.error().message.c_str()));
    return kFailed;
  }
  preflight::bench::Bench& bench = **opened;
  const preflight::vk::DeviceDescription& device = bench.device().description();
  const preflight::bench::Limits& limits = bench.limits();
  benchmark::AddCustomContext("device", device.name);
  benchmark::AddCustomContext("driver",
                              fmt::format("{} {}", device.driver_name, device.driver_version));
  benchmark::AddCustomContext("tier", std::string(preflight::vk::name(bench.tier())));
  benchmark::AddCustomContext("clock", bench.has_device_clock() ? "device" : "host");
  benchmark::AddCustomContext("copy_GB/s", fmt::format("{:.1f}", limits.copy_gb_per_s));
  benchmark::AddCustomContext("read_GB/s", fmt::format("{:.1f}", limits.read_gb_per_s));
  benchmark::AddCustomContext("fma_GFLOP/s", fmt::format("{:.1f}", limits.fma_gflop_per_s));
  if (limits.dot_gop_per_s > 0)
    benchmark::AddCustomContext("dot_GOP/s", fmt::format("{:.1f}", limits.dot_gop_per_s));
  if (limits.coopmat_gflop_per_s > 0)
    benchmark::AddCustomContext("coopmat_GFLOP/s",
                                fmt::format("{:.1f}", limits.coopmat_gflop_per_s));
  preflight::bench::add_product_benches(bench);
  preflight::bench::add_attention_benches(bench);
  preflight::bench::add_norm_benches(bench);
  preflight::bench::add_argmax_benches(bench);
  preflight::bench::add_sample_benches(bench);
  preflight::bench::add_softmax_benches(bench);
  const std::size_t n_run = benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return n_run == 0 || bench.failed() ? kFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);  // takes its own options out of the list
  CLI::App app("Every kernel against its twin, then against the clock", "bench-kernels");
  preflight::bench::BenchOptions options;
  std::string tier;
  app.add_option("--device", options.device, "part of the device's name, in any letter case");
  app.add_option("--tier", tier, "kernels to use; default: the device's best")
      ->check(CLI::IsMember({"base", "f16", "dot", "coopmat"}));
  app.add_option("--shrink", options.shrink, "divides the sizes; 1 is the 12B's")
      ->check(CLI::Range(1, 256));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    static_cast<void>(std::fprintf(stderr, "bench-kernels: %s\n", error.what()));
    return kUsage;
  }
  options.tier = preflight::vk::tier_named(tier);
  return run_benches(options);
}
