// bench-pipelines: what the driver's compiler makes of every kernel of the decoder, in the variants
// and with the constants that the engine takes on this device, at the sizes of the 12B. Nothing is
// run: a driver without its card will do (scripts/gpu-compile).
//   bench-pipelines [--device PART] [--name NAME]
// CSV on standard output, one line a kernel; docs/performance.md#compiled-for-cards has the
// columns.

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "bench/kernels/attention_case.h"
#include "engine/forward/attention_op.h"
#include "engine/forward/dot_products.h"
#include "engine/forward/embed_op.h"
#include "engine/forward/kernels.h"
#include "engine/forward/sampler.h"
#include "engine/forward/tuning.h"
#include "engine/forward/weight_layout.h"
#include "engine/forward/wide_products.h"
#include "engine/model/blocks.h"
#include "shaders/params/argmax.h"
#include "shaders/params/draft.h"
#include "shaders/params/embed.h"
#include "shaders/params/norm.h"
#include "shaders/params/softmax.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/pipeline_statistics.h"

namespace preflight::bench {
namespace {

using forward::Kernels;
using forward::KernelType;
using model::TensorType;

constexpr std::uint32_t kModelDim = 3840;
constexpr std::uint32_t kFfnDim = 15360;
constexpr std::uint32_t kVocab = 262144;

/// A matrix without its weights: enough to make the pipelines that read it.
Result<forward::WeightMatrix> shape_of(TensorType type, std::uint32_t rows, std::uint32_t cols,
                                       forward::Interleave interleave) {
  const model::Tensor tensor{
      .name = "shape", .type = type, .cols = cols, .rows = rows, .bytes = {}};
  PREFLIGHT_TRY(const forward::WeightShape shape,
                forward::WeightShape::of(tensor, interleave, forward::kernel_type(type)));
  return forward::WeightMatrix{.shape = shape, .parts = {}};
}

Result<void> make_products(Kernels& kernels, const vk::Buffer& stand_in) {
  const forward::Interleave interleave = kernels.interleave();
  const vk::Slice none;
  for (const TensorType type :
       {TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ8_0, TensorType::kQ4_0,
        TensorType::kQ4_K, TensorType::kQ6_K, TensorType::kQ4_1}) {  // the last: as affine8
    PREFLIGHT_TRY(const auto down, shape_of(type, kModelDim, kFfnDim, interleave));
    PREFLIGHT_TRY(const auto gate, shape_of(type, kFfnDim, kModelDim, interleave));
    PREFLIGHT_TRY(
        [[maybe_unused]] const auto product,
        forward::make_product(kernels, down,
                              {.x = none, .y = none, .x_stride = kFfnDim, .y_stride = kModelDim}));
    PREFLIGHT_TRY([[maybe_unused]] const auto gated,
                  forward::make_gate_up(kernels, gate, gate, none, kModelDim, none, kFfnDim));
    // The same by integer dot products, where the tier has them: a layer's own matrices.
    const forward::QuantisedInput quantised;
    PREFLIGHT_TRY(const auto dot_product, forward::make_product(kernels, down,
                                                                {.x = none,
                                                                 .y = none,
                                                                 .x_stride = kFfnDim,
                                                                 .y_stride = kModelDim,
                                                                 .quantised = &quantised}));
    PREFLIGHT_TRY(
        [[maybe_unused]] const auto dot_gated,
        forward::make_gate_up(kernels, gate, gate, none, kModelDim, none, kFfnDim, &quantised));
    const forward::ProductOp* const readers[] = {&dot_product};
    PREFLIGHT_TRY([[maybe_unused]] const auto quantise,
                  forward::QuantiseOp::create(kernels, vk::whole(stand_in), kFfnDim,
                                              {vk::whole(stand_in), vk::whole(stand_in)}, readers));
    PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* embed,
                  kernels.pipeline(forward::embed_shader(down.shape), params::kEmbedBindings,
                                   sizeof(params::EmbedParams), {interleave.lanes}));
  }
  PREFLIGHT_TRY(const auto head, shape_of(TensorType::kQ6_K, kVocab, kModelDim, interleave));
  PREFLIGHT_TRY(
      [[maybe_unused]] const auto logits,
      forward::make_product(
          kernels, head,
          {.x = none, .y = none, .x_stride = kModelDim, .y_stride = kVocab, .soft_cap = 30.0f}));
  return {};
}

constexpr std::uint32_t kContextTokens = 8192;
constexpr VkDeviceSize kStandInBytes = 8 << 20;  // room for a row's partial results

Result<void> make_attention(Kernels& kernels, const vk::Buffer& stand_in) {
  for (const bool full : {false, true}) {
    const AttentionCase c{.full = full};
    const forward::AttentionLayout l = c.layout();
    const std::vector<vk::Slice> slices(params::kAttentionTileBindings, vk::whole(stand_in));
    PREFLIGHT_TRY(
        [[maybe_unused]] const auto op,
        forward::make_attention(kernels, l, slices, c.attention_params(), kContextTokens));
    PREFLIGHT_TRY(
        [[maybe_unused]] const vk::Pipeline* input,
        kernels.pipeline("attention_input" + kernels.kv_suffix(), params::kAttentionInputBindings,
                         sizeof(params::AttentionInputParams),
                         {kernels.options().tuning.attention_lanes, l.head_dim, l.key_dim,
                          l.folded ? 1u : 0u, l.n_rotated}));
  }
  return {};
}

Result<void> make_small(Kernels& kernels, const vk::Buffer& stand_in) {
  const forward::Tuning& tuning = kernels.options().tuning;
  PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* norm,
                kernels.pipeline("rms_norm" + kernels.act_suffix(), params::kRmsNormBindings,
                                 sizeof(params::RmsNormParams), {tuning.norm_lanes, 1}));
  PREFLIGHT_TRY(
      [[maybe_unused]] const vk::Pipeline* residual,
      kernels.pipeline("norm_residual" + kernels.act_suffix(), params::kNormResidualBindings,
                       sizeof(params::NormResidualParams), {tuning.norm_lanes}));
  for (const std::uint32_t merge : {0u, 1u}) {
    PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* argmax,
                  kernels.pipeline("argmax", params::kArgmaxBindings, sizeof(params::ArgmaxParams),
                                   {tuning.argmax_lanes, merge}));
    PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* softmax,
                  kernels.pipeline("softmax", params::kSoftmaxBindings,
                                   sizeof(params::SoftmaxParams), {tuning.argmax_lanes, merge}));
  }
  PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* patches,
                kernels.pipeline("patch_norm" + kernels.act_suffix(), params::kPatchNormBindings,
                                 sizeof(params::PatchNormParams), {tuning.norm_lanes}));
  PREFLIGHT_TRY(
      [[maybe_unused]] const vk::Pipeline* positions,
      kernels.pipeline("patch_position" + kernels.act_suffix(), params::kPatchPositionBindings,
                       sizeof(params::PatchPositionParams), {tuning.norm_lanes}));
  PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* next,
                kernels.pipeline("draft_next", params::kDraftNextBindings,
                                 sizeof(params::DraftNextParams), {}));
  for (const std::string& suffix :
       {kernels.act_suffix(), std::string(kernels.options().act16 ? "_act16_hidden16" : "")}) {
    PREFLIGHT_TRY([[maybe_unused]] const vk::Pipeline* input,
                  kernels.pipeline("draft_input" + suffix, params::kDraftInputBindings,
                                   sizeof(params::DraftInputParams), {tuning.norm_lanes}));
  }
  // The sampler makes its own; what is bound is never read.
  PREFLIGHT_TRY([[maybe_unused]] const forward::Sampler sampler,
                forward::Sampler::create(kernels, kVocab,
                                         {.logits = &stand_in,
                                          .masks = &stand_in,
                                          .partial = &stand_in,
                                          .best = &stand_in,
                                          .rows = &stand_in,
                                          .states = &stand_in,
                                          .bins = &stand_in,
                                          .lists = &stand_in}));
  return {};
}

/// The sum of the statistics that the drivers call by these names; empty where there is none.
std::string sum_of(const vk::PipelineStatistics& statistics,
                   std::initializer_list<std::string_view> names) {
  double sum = 0;
  bool found = false;
  for (const vk::PipelineStatistic& statistic : statistics.values) {
    if (std::ranges::find(names, statistic.name) == names.end()) continue;
    sum += statistic.value;
    found = true;
  }
  return found ? fmt::format("{:.0f}", sum) : "";
}

void print_header() {
  fmt::print(
      "device,driver,kernel,constants,subgroup,registers,spills,scalar_spills,scratch_bytes,"
      "shared_bytes,waves,instructions,code_bytes\n");
}

/// A line for each pipeline that is not in `printed`.
Result<void> print_statistics(const vk::Device& device, const Kernels& kernels,
                              const std::string& name, const Kernels::PipelineMap& printed) {
  const vk::DeviceDescription& d = device.description();
  // RADV (AMD), NVK (NVIDIA), Turnip (Adreno) and Honeykrisp (Apple) by turns.
  for (const auto& [key, pipeline] : kernels.pipelines()) {
    if (printed.contains(key)) continue;
    PREFLIGHT_TRY(const vk::PipelineStatistics s, vk::pipeline_statistics(device, *pipeline));
    fmt::print("{},{} {},{},{},{},{},{},{},{},{},{},{},{}\n", name, d.driver_name, d.driver_version,
               key.first, fmt::join(key.second, " "), s.subgroup_size,
               sum_of(s, {"VGPRs", "Number of GPRs", "Registers used", "GPRs"}),
               sum_of(s, {"Spilled VGPRs", "Spills to memory", "STP Count", "Spills"}),
               sum_of(s, {"Spilled SGPRs", "Spills to reg"}),
               sum_of(s, {"Scratch size", "SLM size", "Scratch"}), sum_of(s, {"LDS size"}),
               sum_of(s, {"Subgroups per SIMD", "Max warps/SM", "Max Waves Per Core", "Threads"}),
               sum_of(s, {"Instructions", "Instruction count", "Instruction Count"}),
               sum_of(s, {"Code size"}));
  }
  return {};
}

/// Everything that the engine takes on the device in its own tier, and the products of the tiers
/// that can be asked for: integer dot products where they are the device's own.
Result<void> run(const std::string& device_name, const std::string& name) {
  PREFLIGHT_TRY(vk::Device device,
                vk::Device::create({.name_contains = device_name, .pipeline_statistics = true}));
  const vk::DeviceDescription& description = device.description();
  const forward::Tuning tuning = forward::tuning_for(description);
  PREFLIGHT_TRY(const vk::Buffer stand_in,
                vk::Buffer::create(device, kStandInBytes, vk::Residency::kDevice, "stand-in"));
  PREFLIGHT_TRY(Kernels kernels,
                Kernels::create(device, {.tuning = tuning,
                                         .act16 = forward::has_f16_inputs(tuning.tier, description),
                                         .dot = description.int_dot_accelerated &&
                                                forward::can_run_dot(description)}));
  PREFLIGHT_TRY_VOID(make_products(kernels, stand_in));
  PREFLIGHT_TRY_VOID(make_attention(kernels, stand_in));
  PREFLIGHT_TRY_VOID(make_small(kernels, stand_in));
  const std::string said = name.empty() ? description.name : name;
  print_header();
  PREFLIGHT_TRY_VOID(print_statistics(device, kernels, said, {}));
  if (!forward::coopmat_tile(description, tuning)) return {};
  PREFLIGHT_TRY(Kernels matrices,
                Kernels::create(device, {.tuning = tuning, .act16 = true, .coopmat = true}));
  PREFLIGHT_TRY_VOID(make_products(matrices, stand_in));
  return print_statistics(device, matrices, said, kernels.pipelines());
}

}  // namespace
}  // namespace preflight::bench

int main(int argc, char** argv) {
  constexpr int kFailed = 1;
  constexpr int kUsage = 2;
  CLI::App app("What the driver's compiler makes of every kernel", "bench-pipelines");
  std::string device;
  std::string name;
  app.add_option("--device", device, "part of the device's name, in any letter case");
  app.add_option("--name", name, "what the table calls the device; default: its own name");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& asked_for_help) {
    return app.exit(asked_for_help);
  } catch (const CLI::ParseError& error) {
    static_cast<void>(std::fprintf(stderr, "bench-pipelines: %s\n", error.what()));
    return kUsage;
  }
  const auto done = preflight::bench::run(device, name);
  if (done) return 0;
  static_cast<void>(std::fprintf(stderr, "bench-pipelines: %s\n", done.error().message.c_str()));
  return kFailed;
}
