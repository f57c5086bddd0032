#include "bench/kernels/limits.h"

#include <algorithm>
#include <array>

#include "bench/embedded.h"
#include "bench/kernels/bench.h"
#include "bench/shaders/limits.h"

namespace preflight::bench {
namespace {

constexpr std::uint32_t kRepeats = 5;

/// The best of a few runs: a limit is what the device can do, not what its neighbours leave it.
Result<double> best_ms(Bench& bench, const std::function<void(vk::CommandList&)>& record) {
  double best = 0;
  for (std::uint32_t i = 0; i < kRepeats; i++) {
    PREFLIGHT_TRY(const double ms, bench.time_ms(record));
    best = i == 0 ? ms : std::min(best, ms);
  }
  return best;
}

Result<vk::Pipeline> limit_pipeline(Bench& bench, const char* shader, std::uint32_t n_bindings,
                                    std::uint32_t lanes) {
  return vk::Pipeline::create(bench.device(), {.spirv = shaders::spirv(shader),
                                               .n_bindings = n_bindings,
                                               .push_bytes = sizeof(params::LimitParams),
                                               .constants = {lanes},
                                               .label = shader});
}

Result<double> copy_gb_per_s(Bench& bench, const vk::Buffer& from, const vk::Buffer& to) {
  PREFLIGHT_TRY(const double ms, best_ms(bench, [&](vk::CommandList& list) {
                  list.copy(vk::whole(from), vk::whole(to));
                }));
  return 2.0 * static_cast<double>(from.size_bytes()) / ms * 1e-6;
}

Result<double> read_gb_per_s(Bench& bench, vk::BindingPool& pool, const vk::Buffer& from,
                             const vk::Buffer& to, std::uint32_t lanes) {
  PREFLIGHT_TRY(const vk::Pipeline pipeline, limit_pipeline(bench, "read", 2, lanes));
  const std::array<vk::Slice, 2> slices = {vk::whole(to), vk::whole(from)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, pool.add(pipeline, slices));
  const params::LimitParams push{.n_rounds = 32, .factor = 0, .addend = 0};
  const std::uint64_t per_workgroup =
      std::uint64_t{16} * lanes * params::kReadUnroll * push.n_rounds;
  const auto n_workgroups = static_cast<std::uint32_t>(from.size_bytes() / per_workgroup);
  PREFLIGHT_TRY(const double ms, best_ms(bench, [&](vk::CommandList& list) {
                  list.dispatch(pipeline, *bindings, vk::push_bytes(push), n_workgroups);
                }));
  return static_cast<double>(n_workgroups * per_workgroup) / ms * 1e-6;
}

Result<double> fma_gflop_per_s(Bench& bench, vk::BindingPool& pool, const vk::Buffer& to,
                               std::uint32_t lanes) {
  PREFLIGHT_TRY(const vk::Pipeline pipeline, limit_pipeline(bench, "fma", 1, lanes));
  const std::array<vk::Slice, 1> slices = {vk::whole(to)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, pool.add(pipeline, slices));
  // Factors that keep the chains finite. A CPU device has few lanes at once, a card thousands.
  const bool software = bench.device().description().software;
  const params::LimitParams push{
      .n_rounds = software ? 2000u : 512u, .factor = 0.999f, .addend = 1e-3f};
  const std::uint32_t n_workgroups = software ? 512 : 1u << 15;
  PREFLIGHT_TRY(const double ms, best_ms(bench, [&](vk::CommandList& list) {
                  list.dispatch(pipeline, *bindings, vk::push_bytes(push), n_workgroups);
                }));
  return 2.0 * n_workgroups * lanes * push.n_rounds * params::kFmaChains * params::kFmaUnroll / ms *
         1e-6;
}

Result<double> dot_gop_per_s(Bench& bench, vk::BindingPool& pool, const vk::Buffer& to,
                             std::uint32_t lanes) {
  PREFLIGHT_TRY(const vk::Pipeline pipeline, limit_pipeline(bench, "dot", 1, lanes));
  const std::array<vk::Slice, 1> slices = {vk::whole(to)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, pool.add(pipeline, slices));
  const bool software = bench.device().description().software;
  const params::LimitParams push{.n_rounds = 512, .factor = 1.5f, .addend = 0};
  const std::uint32_t n_workgroups = software ? 512 : 1u << 15;
  PREFLIGHT_TRY(const double ms, best_ms(bench, [&](vk::CommandList& list) {
                  list.dispatch(pipeline, *bindings, vk::push_bytes(push), n_workgroups);
                }));
  return 8.0 * n_workgroups * lanes * push.n_rounds * params::kDotChains * params::kDotUnroll / ms *
         1e-6;
}

Result<double> coopmat_gflop_per_s(Bench& bench, vk::BindingPool& pool, const vk::Buffer& to) {
  const vk::DeviceDescription& device = bench.device().description();
  const vk::CoopmatShape& shape = device.coopmat;
  const std::uint32_t n_subgroups = device.software ? 1 : 4;
  PREFLIGHT_TRY(const vk::Pipeline pipeline,
                vk::Pipeline::create(
                    bench.device(),
                    {.spirv = shaders::spirv("coopmat"),
                     .n_bindings = 1,
                     .push_bytes = sizeof(params::LimitParams),
                     .constants = {n_subgroups * device.subgroup_size, shape.m, shape.n, shape.k},
                     .required_subgroup_size = device.subgroup_size,
                     .label = "coopmat"}));
  const std::array<vk::Slice, 1> slices = {vk::whole(to)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, pool.add(pipeline, slices));
  const params::LimitParams push{
      .n_rounds = device.software ? 20u : 2048u, .factor = 0.5f, .addend = 0};
  const std::uint32_t n_workgroups = device.software ? 64 : 4096;
  PREFLIGHT_TRY(const double ms, best_ms(bench, [&](vk::CommandList& list) {
                  list.dispatch(pipeline, *bindings, vk::push_bytes(push), n_workgroups);
                }));
  return 2.0 * shape.m * shape.n * shape.k * params::kCoopmatChains * push.n_rounds * n_subgroups *
         n_workgroups / ms * 1e-6;
}

}  // namespace

double Limits::of(Arithmetic arithmetic) const {
  switch (arithmetic) {
    case Arithmetic::kFma:
      return fma_gflop_per_s;
    case Arithmetic::kDot:
      return dot_gop_per_s;
    case Arithmetic::kCoopmat:
      return coopmat_gflop_per_s;
  }
  return fma_gflop_per_s;
}

Result<Limits> measure_limits(Bench& bench) {
  const vk::DeviceDescription& device = bench.device().description();
  // Larger than any cache, within one binding.
  const std::uint64_t size =
      std::min<std::uint64_t>(device.max_storage_buffer_range, 1u << 30) / bench.options().shrink;
  const std::uint32_t lanes =
      device.software ? bench.kernels().options().tuning.weight_lanes : 256u;
  PREFLIGHT_TRY(const vk::Buffer from, bench.empty(size / 4096 * 4096));
  PREFLIGHT_TRY(const vk::Buffer to, bench.empty(from.size_bytes()));
  PREFLIGHT_TRY(vk::BindingPool pool, vk::BindingPool::create(bench.device()));
  Limits limits;
  PREFLIGHT_TRY(limits.copy_gb_per_s, copy_gb_per_s(bench, from, to));
  PREFLIGHT_TRY(limits.read_gb_per_s, read_gb_per_s(bench, pool, from, to, lanes));
  PREFLIGHT_TRY(limits.fma_gflop_per_s, fma_gflop_per_s(bench, pool, to, lanes));
  if (bench.tier() == vk::Tier::kDot) {
    PREFLIGHT_TRY(limits.dot_gop_per_s, dot_gop_per_s(bench, pool, to, lanes));
  }
  if (bench.tier() == vk::Tier::kCoopmat) {
    PREFLIGHT_TRY(limits.coopmat_gflop_per_s, coopmat_gflop_per_s(bench, pool, to));
  }
  return limits;
}

}  // namespace preflight::bench
