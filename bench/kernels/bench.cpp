#include "bench/kernels/bench.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "engine/forward/dot_products.h"
#include "engine/forward/tuning.h"
#include "engine/forward/wide_products.h"
#include "engine/model/half.h"

namespace preflight::bench {
namespace {

void report(benchmark::State& state, const Case& c, const Limits& limits, double total_ms) {
  const double seconds = total_ms * 1e-3 / static_cast<double>(state.iterations());
  const double at_best = std::max(c.work.bytes / (limits.gb_per_s() * 1e9),
                                  c.work.operations / (limits.of(c.arithmetic) * 1e9));
  state.counters["MB"] = c.work.bytes * 1e-6;
  state.counters["MFLOP"] = c.work.operations * 1e-6;
  state.counters["GB/s"] = c.work.bytes / seconds * 1e-9;
  state.counters["GFLOP/s"] = c.work.operations / seconds * 1e-9;
  state.counters["of_limit"] = at_best / seconds;
}

void run(benchmark::State& state, Bench& bench, const std::function<Result<Case>(Bench&)>& make) {
  const auto refuse = [&](const Error& error) {
    bench.note_failure();
    state.SkipWithError(error.message.c_str());
  };
  const Result<Case> c = make(bench);
  if (!c) return refuse(c.error());
  // The first run also compiles: drivers do part of that when a pipeline is first used.
  if (const auto first = bench.time_ms(c->record); !first) return refuse(first.error());
  if (const auto checked = c->check(); !checked) return refuse(checked.error());
  double total_ms = 0;
  for (auto _ : state) {
    const Result<double> ms = bench.time_ms(c->record);
    if (!ms) return refuse(ms.error());
    state.SetIterationTime(*ms * 1e-3);
    total_ms += *ms;
  }
  report(state, *c, bench.limits(), total_ms);
}

}  // namespace

Result<std::unique_ptr<Bench>> Bench::open(const BenchOptions& options) {
  PREFLIGHT_TRY(vk::Device device, vk::Device::create({.name_contains = options.device}));
  PREFLIGHT_TRY(vk::Submitter submitter, vk::Submitter::create(device, std::chrono::minutes(10)));
  PREFLIGHT_TRY(vk::Uploader uploader, vk::Uploader::create(device));
  auto bench = std::unique_ptr<Bench>(
      new Bench(options, std::move(device), std::move(submitter), std::move(uploader)));
  if (auto timestamps = vk::Timestamps::create(bench->device_, 2))
    bench->timestamps_.emplace(std::move(*timestamps));
  const forward::Tuning tuning = forward::tuning_for(bench->device_.description());
  const vk::Tier tier = options.tier.value_or(tuning.tier);
  bench->tier_ = tier;
  if (tier == vk::Tier::kCoopmat &&
      !forward::coopmat_tile(bench->device_.description(), tuning).has_value())
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} has no kernels of tier coopmat, or this build has none",
                            bench->device_.description().name));
  if (tier == vk::Tier::kDot && !forward::can_run_dot(bench->device_.description()))
    return fail(ErrorCode::kUnsupported, fmt::format("{} cannot run the kernels of tier dot",
                                                     bench->device_.description().name));
  const bool act16 = forward::has_f16_inputs(tier, bench->device_.description());
  PREFLIGHT_TRY(bench->kernels_,
                forward::Kernels::create(bench->device_, {.tuning = tuning,
                                                          .act16 = act16,
                                                          .kv16 = true,
                                                          .dot = tier == vk::Tier::kDot,
                                                          .coopmat = tier == vk::Tier::kCoopmat}));
  PREFLIGHT_TRY(bench->limits_, measure_limits(*bench));
  return bench;
}

void Bench::add(const std::string& name, std::function<Result<Case>(Bench&)> make) {
  benchmark::RegisterBenchmark(
      name.c_str(),
      [this, make = std::move(make)](benchmark::State& state) { run(state, *this, make); })
      ->UseManualTime()
      // On a CPU device this is the work itself, which others on the machine do not change.
      ->MeasureProcessCPUTime()
      ->Unit(benchmark::kMillisecond);
}

Result<double> Bench::time_ms(const std::function<void(vk::CommandList&)>& record) {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
  list.begin();
  if (timestamps_) {
    timestamps_->reset(list);
    timestamps_->mark(list, 0);
  }
  record(list);
  if (timestamps_) timestamps_->mark(list, 1);
  PREFLIGHT_TRY_VOID(list.end());
  const vk::CommandList* const lists[] = {&list};
  PREFLIGHT_TRY(const double host_ms, submitter_.run(lists));
  return timestamps_ ? timestamps_->ms_between(0, 1) : Result<double>(host_ms);
}

Result<vk::Buffer> Bench::upload(std::span<const std::byte> bytes) {
  PREFLIGHT_TRY(vk::Buffer buffer, empty(bytes.size()));
  PREFLIGHT_TRY_VOID(uploader_.write(buffer, 0, bytes));
  return buffer;
}

Result<vk::Buffer> Bench::upload_activations(std::span<float> values) {
  if (!act16()) return upload(std::as_bytes(values));
  std::vector<std::uint16_t> halves(values.size());
  std::ranges::transform(values, halves.begin(), model::half_from_float);
  std::ranges::transform(halves, values.begin(), model::float_from_half);
  return upload(std::as_bytes(std::span(halves)));
}

Result<vk::Buffer> Bench::empty(std::uint64_t bytes) {
  return vk::Buffer::create(device_, bytes, vk::Residency::kDevice, "benchmark");
}

Result<std::vector<float>> Bench::read(const vk::Buffer& buffer, std::size_t n, bool half) {
  std::vector<float> values(n);
  if (!half) {
    PREFLIGHT_TRY_VOID(uploader_.read(buffer, 0, std::as_writable_bytes(std::span(values))));
    return values;
  }
  std::vector<std::uint16_t> halves(n);
  PREFLIGHT_TRY_VOID(uploader_.read(buffer, 0, std::as_writable_bytes(std::span(halves))));
  std::ranges::transform(halves, values.begin(), model::float_from_half);
  return values;
}

Result<void> check_close(const std::string& kernel, std::span<const float> got,
                         std::span<const float> want) {
  PREFLIGHT_ASSERT(got.size() == want.size());
  float largest = 0;
  for (const float value : want) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < got.size(); i++)
    if (!(std::abs(got[i] - want[i]) <= 1e-3f * largest))
      return fail(ErrorCode::kInternal, fmt::format("{}: value {} is {}, its twin computes {}",
                                                    kernel, i, got[i], want[i]));
  return {};
}

std::uint32_t shrunk(const Bench& bench, std::uint32_t n, std::uint32_t least) {
  return std::max(n / bench.options().shrink, std::min(n, least));
}

}  // namespace preflight::bench
