#include "engine/forward/tuning.h"

#include <algorithm>
#include <array>
#include <bit>

#include "engine/forward/wide_products.h"

namespace preflight::forward {
namespace {

// What holds for a device that no row below knows; a row repeats only what differs.
constexpr std::array kFields = {
    TuningField{.name = "weight_lanes",
                .member = &Tuning::weight_lanes,
                .least = 4,
                .most = 64,
                .power_of_two = true,
                .value = kSubgroupSize,
                .reason = "a group as wide as the subgroup reads what lies side by side",
                .candidates = {8, 16, 32, 64}},
    TuningField{.name = "narrow_threads",
                .member = &Tuning::narrow_threads,
                .least = 4,
                .most = 512,
                .power_of_two = true,
                .value = 256,
                .reason = "3840 rows alone are 120 subgroups of 32; eight teams make them 960",
                .candidates = {64, 128, 256}},
    TuningField{.name = "narrow_columns",
                .member = &Tuning::narrow_columns,
                .least = 1,
                .most = 16,
                .power_of_two = true,
                .value = 16,
                .reason = "one reading of the weights serves 16 rows without spills on most cards",
                .candidates = {4, 8, 16}},
    TuningField{.name = "narrow_piece",
                .member = &Tuning::narrow_piece,
                .least = 1,
                .most = 8,
                .power_of_two = true,
                .value = 8,
                .reason = "64 bytes of a column's activations fit the registers that lanes share",
                .candidates = {2, 4, 8}},
    TuningField{.name = "activation_loads",
                .member = &Tuning::activation_loads,
                .least = 1,
                .most = 3,
                .power_of_two = false,
                .value = 1,
                .reason = "a card loads what all lanes share once"},
    TuningField{.name = "plane_loads",
                .member = &Tuning::plane_loads,
                .least = 1,
                .most = 4,
                .power_of_two = false,
                .value = 1,
                .reason = "a card loads from storage buffers at full rate"},
    TuningField{.name = "norm_lanes",
                .member = &Tuning::norm_lanes,
                .least = 4,
                .most = 1024,
                .power_of_two = true,
                .value = 256,
                .reason = "one workgroup reduces a row of some thousand values",
                .candidates = {8, 64, 128, 256, 512}},
    TuningField{.name = "attention_lanes",
                .member = &Tuning::attention_lanes,
                .least = 4,
                .most = 64,
                .power_of_two = true,
                .value = 64,
                .reason = "a page of 64 keys keeps that many busy",
                .candidates = {8, 16, 32, 64}},
    TuningField{.name = "attention_queries",
                .member = &Tuning::attention_queries,
                .least = 4,
                .most = 16,
                .power_of_two = true,
                .value = 16,
                .reason = "a key read once serves 16 queries, and a long row fills a card"},
    TuningField{.name = "argmax_lanes",
                .member = &Tuning::argmax_lanes,
                .least = 4,
                .most = 1024,
                .power_of_two = true,
                .value = 128,
                .reason = "four subgroups of 32 read the logits once; not measured",
                .candidates = {8, 64, 128, 256}},
    TuningField{.name = "chunk_rows",
                .member = &Tuning::chunk_rows,
                .least = 32,
                .most = 2048,
                .power_of_two = false,
                .value = 512,
                .reason = "every byte of weights serves 512 rows: arithmetic is the limit"},
    TuningField{.name = "prefill_tiles",
                .member = &Tuning::prefill_tiles,
                .least = 1,
                .most = 2,
                .power_of_two = false,
                .value = 2,
                .reason = "a weight is decoded once for 64 rows of a prompt",
                .candidates = {1, 2}},
    TuningField{.name = "coopmat_tile",
                .member = &Tuning::coopmat_tile,
                .least = 32,
                .most = 128,
                .power_of_two = true,
                .value = 64,
                .reason = "at most 96 registers a lane and 16 KiB shared (RADV, compiled)",
                .candidates = {64, 128}},
    TuningField{.name = "submission_ms",
                .member = &Tuning::submission_ms,
                .least = 1,
                .most = 10000,
                .power_of_two = false,
                .value = 50,
                .reason = "far below every driver's watchdog, and a desktop stays smooth"},
};

struct Line {
  std::uint32_t Tuning::*member;
  std::uint32_t value;
  std::string_view reason;
};

struct Row {
  std::string_view name;
  bool (*is)(const vk::DeviceDescription& device);
  vk::Tier tier;  ///< the best that pays; a device that cannot run it takes what it can
  std::string_view tier_reason;
  std::vector<Line> lines;
};

constexpr std::uint32_t kAmd = 0x1002, kApple = 0x106b, kArm = 0x13b5, kIntel = 0x8086,
                        kNvidia = 0x10de, kQualcomm = 0x5143;

constexpr std::string_view kCpuLanes =
    "a workgroup of one subgroup needs no barrier; 64 lanes pay 0.2 to 0.3 us for each "
    "(llvmpipe 22.3 and 26.1, measured)";

/// Lines of every CPU device, in front of a row's own.
std::vector<Line> cpu_lines(std::vector<Line> own) {
  std::vector<Line> lines = {
      {&Tuning::narrow_threads, kSubgroupSize, kCpuLanes},
      {&Tuning::narrow_columns, 8,
       "16 in one reading could save 9 % of two: gate_up takes 15 ms with 1 and 55 with 8 "
       "(llvmpipe 26.1, measured)"},
      {&Tuning::norm_lanes, kSubgroupSize, kCpuLanes},
      {&Tuning::attention_lanes, kSubgroupSize, kCpuLanes},
      {&Tuning::attention_queries, 4,
       "a page's keys are in the processor's cache for the next heads anyway; barriers and shared "
       "memory are what costs"},
      {&Tuning::argmax_lanes, kSubgroupSize, kCpuLanes},
      {&Tuning::chunk_rows, 256, "weights are unpacked again for every few rows anyway"},
      {&Tuning::prefill_tiles, 1,
       "shared memory is no faster than a buffer, and tiles add barriers (llvmpipe 22.3 and "
       "26.1, measured)"},
      {&Tuning::submission_ms, 1000, "no watchdog and no desktop behind a CPU device"}};
  lines.insert(lines.end(), own.begin(), own.end());
  return lines;
}

constexpr std::uint32_t kLoadsBroadcast = static_cast<std::uint32_t>(ActivationLoads::kBroadcast),
                        kLoadsShuffle = static_cast<std::uint32_t>(ActivationLoads::kShuffle);

constexpr std::uint32_t kTexels = static_cast<std::uint32_t>(PlaneLoads::kTexels),
                        kTexelsAll = static_cast<std::uint32_t>(PlaneLoads::kTexelsWithAttention),
                        kAddresses = static_cast<std::uint32_t>(PlaneLoads::kAddresses);

// The first row whose `is` holds is taken.
const std::vector<Row>& rows() {
  constexpr std::string_view kCpuTier =
      "float16 arithmetic is converted to float32 and back: 29 against 84 GFLOP/s (llvmpipe 26.1, "
      "measured)";
  constexpr std::string_view kBroadcasts =
      "where planes are no addresses, gate_up 1.2 to 1.4 times faster (26.1, measured); shuffles "
      "of "
      "512 bits are loops";
  constexpr std::string_view kF16Tier = "twice the rate of float32, half the activations' bytes";
  static const std::vector<Row> table = {
      {.name = "llvmpipe before 24",
       .is =
           [](const vk::DeviceDescription& d) {
             return vk::is_llvmpipe(d) && vk::mesa_version(d) < 24;
           },
       .tier = vk::Tier::kBase,
       .tier_reason = "float16 arithmetic: 15 against 85 GFLOP/s (llvmpipe 22.3, measured)",
       .lines =
           cpu_lines({{&Tuning::activation_loads, kLoadsShuffle,
                       "products 1.7 times faster with 1 column, 3.7 with 8 (22.3, measured before "
                       "texels); its broadcasts are loops"},
                      {&Tuning::plane_loads, kTexelsAll,
                       "products 4 to 6 times faster, attention 2.5 (22.3, measured): it loads "
                       "from storage buffers lane by lane"}})},
      // Where between 22.3 and 26.1 its loads became fast has not been looked for.
      {.name = "llvmpipe before 26",
       .is =
           [](const vk::DeviceDescription& d) {
             return vk::is_llvmpipe(d) && vk::mesa_version(d) < 26;
           },
       .tier = vk::Tier::kBase,
       .tier_reason = kCpuTier,
       .lines = cpu_lines({{&Tuning::activation_loads, kLoadsBroadcast, kBroadcasts},
                           {&Tuning::plane_loads, kTexels,
                            "products 1.0 to 1.4 times faster, attention slower (26.1, measured; "
                            "by address 24 and 25 have not been)"}})},
      {.name = "llvmpipe",
       .is = vk::is_llvmpipe,
       .tier = vk::Tier::kBase,
       .tier_reason = kCpuTier,
       .lines = cpu_lines({{&Tuning::activation_loads, kLoadsBroadcast, kBroadcasts},
                           {&Tuning::plane_loads, kAddresses,
                            "products 2.1 to 2.3 times faster with 1 column, 1.4 to 1.7 with 8 "
                            "than as texels (26.1, measured): no lane loads for itself"}})},
      // SwiftShader, 4 lanes wide, and CPU drivers not known by name.
      {.name = "software",
       .is = [](const vk::DeviceDescription& d) { return d.software; },
       .tier = vk::Tier::kBase,
       .tier_reason = "SwiftShader has neither 16-bit storage nor float16",
       .lines = cpu_lines({})},
      {.name = "nvidia",
       .is = [](const vk::DeviceDescription& d) { return d.vendor_id == kNvidia; },
       .tier = vk::Tier::kCoopmat,
       .tier_reason = "tensor cores; before Turing there are none, and float16 is half the bytes",
       .lines = {{&Tuning::weight_lanes, 32, "a warp"}}},
      {.name = "amd gcn",
       .is =
           [](const vk::DeviceDescription& d) {
             return d.vendor_id == kAmd && d.min_subgroup_size == 64;
           },
       .tier = vk::Tier::kF16,
       .tier_reason = "half the activations' bytes; packed arithmetic from Vega on",
       .lines = {{&Tuning::weight_lanes, 64, "wave64 is the only width"},
                 {&Tuning::narrow_columns, 8, "16 leave two waves of ten (RADV 26.1, compiled)"},
                 {&Tuning::attention_lanes, 64, "wave64 is the only width"}}},
      {.name = "amd rdna with matrix units",
       .is =
           [](const vk::DeviceDescription& d) {
             return d.vendor_id == kAmd && d.best_tier == vk::Tier::kCoopmat;
           },
       .tier = vk::Tier::kCoopmat,
       .tier_reason = "WMMA: 512 multiply-adds of float16 a cycle and CU, twice packed float16",
       .lines = {{&Tuning::weight_lanes, 64,
                  "RADV compiles workgroups above 32 invocations as wave64, and reads twice the "
                  "consecutive bytes"}}},
      {.name = "amd rdna",
       .is = [](const vk::DeviceDescription& d) { return d.vendor_id == kAmd; },
       .tier = vk::Tier::kF16,
       .tier_reason = kF16Tier,
       .lines = {{&Tuning::weight_lanes, 64,
                  "RADV compiles workgroups above 32 invocations as wave64, and reads twice the "
                  "consecutive bytes"}}},
      {.name = "intel xe2",
       .is =
           [](const vk::DeviceDescription& d) {
             return d.vendor_id == kIntel && d.min_subgroup_size >= 16;
           },
       .tier = vk::Tier::kCoopmat,
       .tier_reason = "DPAS: 1.4 to 3.3 times in prefill on Lunar Lake (llama.cpp pull 14001)",
       .lines = {{&Tuning::weight_lanes, 16,
                  "SIMD16: 16 sums a lane take 16 of 128 registers of 64 bytes; SIMD32 twice that "
                  "(Intel Xe2 ISA)"},
                 {&Tuning::attention_lanes, 32,
                  "two subgroups: an accumulator of 512 values is 16 a lane"}}},
      {.name = "intel xe",
       .is = [](const vk::DeviceDescription& d) { return d.vendor_id == kIntel; },
       .tier = vk::Tier::kF16,
       .tier_reason = kF16Tier,
       .lines = {{&Tuning::weight_lanes, 16,
                  "SIMD16: 16 sums a lane take 32 of 128 registers of 32 bytes; SIMD32 would take "
                  "half of them (Intel Xe-HPG ISA)"},
                 {&Tuning::narrow_columns, 8,
                  "gate and up: 16 sums, 16 words and 16 weights in 64 values a lane"},
                 {&Tuning::narrow_piece, 2, "the same: 8 would be 64 weights"}}},
      {.name = "adreno",
       .is = [](const vk::DeviceDescription& d) { return d.vendor_id == kQualcomm; },
       .tier = vk::Tier::kF16,
       .tier_reason = kF16Tier,
       .lines = {{&Tuning::weight_lanes, 64, "half of a full wave of 128; both widths exist"},
                 {&Tuning::narrow_columns, 8, "16 spill on the 660 (Turnip 26.1, compiled)"},
                 {&Tuning::narrow_piece, 2,
                  "4 spill on the 660 with q6_K gates (Turnip 26.1, compiled)"},
                 {&Tuning::chunk_rows, 256, "at some 120 tokens/s, 50 ms hold few rows"}}},
      {.name = "mali",
       .is = [](const vk::DeviceDescription& d) { return d.vendor_id == kArm; },
       .tier = vk::Tier::kF16,
       .tier_reason = kF16Tier,
       .lines = {{&Tuning::weight_lanes, 16, "warps of 16"},
                 {&Tuning::norm_lanes, 64, "shared memory is cached memory: fewer partial sums"},
                 {&Tuning::attention_lanes, 16, "shared memory is cached memory: one warp"},
                 {&Tuning::chunk_rows, 256, "integrated and slow: 50 ms hold few rows"}}},
      {.name = "apple",
       .is =
           [](const vk::DeviceDescription& d) {
             return d.vendor_id == kApple || d.name.starts_with("Apple ");  // Mesa's own id
           },
       .tier = vk::Tier::kF16,
       .tier_reason = kF16Tier,
       .lines = {{&Tuning::weight_lanes, 32, "SIMD groups of 32"},
                 {&Tuning::narrow_columns, 8,
                  "16 of gate and up spill on the M1 (Honeykrisp 26.1, compiled)"}}},
      {.name = "unknown",
       .is = [](const vk::DeviceDescription& /*device*/) { return true; },
       .tier = vk::Tier::kF16,
       .tier_reason = kF16Tier,
       .lines = {}},
  };
  return table;
}

/// The tier that a row wishes for, or the next below that the device can run. No row wishes for
/// integer dot products: they round a prompt's activations to 8 bit, and no card has shown yet what
/// is gained by it.
vk::Tier best_of(vk::Tier wanted, const vk::DeviceDescription& device, const Tuning& tuning) {
  if (wanted == vk::Tier::kCoopmat && coopmat_tile(device, tuning)) return vk::Tier::kCoopmat;
  const bool f16 = device.storage_16bit && device.shader_f16;
  return wanted >= vk::Tier::kF16 && f16 ? vk::Tier::kF16 : vk::Tier::kBase;
}

std::uint32_t in_range(const TuningField& field, std::uint32_t value,
                       const vk::DeviceDescription& device) {
  // A GPU that names a tiny subgroup still runs wider workgroups better.
  if (value == kSubgroupSize)
    value = device.software ? device.subgroup_size : std::clamp(device.subgroup_size, 16u, 64u);
  value = std::clamp(value, field.least, field.most);
  if (!field.power_of_two) return value;
  const std::uint32_t most = std::max(1u, device.max_workgroup_invocations);
  return std::bit_floor(std::min(value, most));
}

}  // namespace

std::span<const TuningField> tuning_fields() { return kFields; }

const TuningField* find_tuning_field(std::string_view name) {
  const auto* const found = std::find_if(kFields.begin(), kFields.end(),
                                         [&](const TuningField& f) { return f.name == name; });
  return found == kFields.end() ? nullptr : found;
}

std::string_view name(TuningOrigin origin) {
  switch (origin) {
    case TuningOrigin::kDefault:
      return "default";
    case TuningOrigin::kTable:
      return "table";
    case TuningOrigin::kTuned:
      return "tuned";
  }
  return "unknown";
}

TuningReport tuning_report(const vk::DeviceDescription& device, std::span<const TunedValue> tuned) {
  const Row& row = *std::find_if(rows().begin(), rows().end(),
                                 [&](const Row& candidate) { return candidate.is(device); });
  TuningReport report{.row = row.name, .tuning = {}, .tier_reason = row.tier_reason, .choices = {}};
  for (const TuningField& field : kFields) {
    TuningChoice choice{.field = field.name,
                        .value = field.value,
                        .origin = TuningOrigin::kDefault,
                        .reason = field.reason};
    for (const Line& line : row.lines) {
      if (line.member != field.member) continue;
      choice.value = line.value;
      choice.origin = TuningOrigin::kTable;
      choice.reason = line.reason;
    }
    for (const TunedValue& measured : tuned) {
      if (measured.field != field.name) continue;
      choice.value = measured.value;
      choice.origin = TuningOrigin::kTuned;
      choice.reason = "fastest of those measured on this device";
    }
    choice.value = in_range(field, choice.value, device);
    report.tuning.*field.member = choice.value;
    report.choices.push_back(choice);
  }
  report.tuning.tier = best_of(row.tier, device, report.tuning);
  return report;
}

Tuning tuning_for(const vk::DeviceDescription& device, std::span<const TunedValue> tuned) {
  return tuning_report(device, tuned).tuning;
}

}  // namespace preflight::forward
