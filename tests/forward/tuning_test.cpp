// The tuning table: every device gets a row, and sizes that its kernels can run with.

#include "engine/forward/tuning.h"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace preflight::forward {
namespace {

struct Known {
  std::string row;
  vk::DeviceDescription device;
};

vk::DeviceDescription gpu(std::uint32_t vendor, std::uint32_t least, std::uint32_t most) {
  vk::DeviceDescription device;
  device.vendor_id = vendor;
  device.subgroup_size = device.max_subgroup_size = most;
  device.min_subgroup_size = least;
  device.max_workgroup_invocations = 1024;
  device.max_shared_bytes = 32768;
  device.storage_16bit = device.shader_f16 = device.int_dot = true;
  device.best_tier = vk::Tier::kF16;
  return device;
}

vk::DeviceDescription cpu(const char* driver, const char* version, std::uint32_t lanes) {
  vk::DeviceDescription device = gpu(0x10005, lanes, lanes);
  device.software = true;
  device.driver_name = driver;
  device.driver_version = version;
  return device;
}

std::vector<Known> known() {
  vk::DeviceDescription matrix_units = gpu(0x1002, 32, 64);
  matrix_units.best_tier = vk::Tier::kCoopmat;
  vk::DeviceDescription tensor_cores = gpu(0x10de, 32, 32);
  tensor_cores.best_tier = vk::Tier::kCoopmat;
  vk::DeviceDescription small = gpu(0xabcd, 1, 1);  // what Vulkan 1.3 asks and no more
  small.max_workgroup_invocations = 128;
  small.storage_16bit = small.shader_f16 = false;
  small.best_tier = vk::Tier::kBase;
  return {{"llvmpipe before 24", cpu("llvmpipe", "Mesa 22.3.6 (LLVM 15.0.6)", 8)},
          {"llvmpipe before 26", cpu("llvmpipe", "Mesa 25.0.7 (LLVM 19.1.7)", 8)},
          {"llvmpipe", cpu("llvmpipe", "Mesa 26.1.6 (LLVM 21.1.0)", 8)},
          {"software", cpu("SwiftShader driver", "5.0.0", 4)},
          {"nvidia", tensor_cores},
          {"nvidia", gpu(0x10de, 32, 32)},
          {"amd gcn", gpu(0x1002, 64, 64)},
          {"amd rdna", gpu(0x1002, 32, 64)},
          {"amd rdna with matrix units", matrix_units},
          {"intel xe", gpu(0x8086, 8, 32)},
          {"intel xe2", gpu(0x8086, 16, 32)},
          {"adreno", gpu(0x5143, 64, 128)},
          {"mali", gpu(0x13b5, 16, 16)},
          {"apple", gpu(0x106b, 32, 32)},
          {"unknown", small}};
}

TEST(Tuning, EveryDeviceHasItsRow) {
  for (const Known& k : known()) EXPECT_EQ(tuning_report(k.device).row, k.row);
}

TEST(Tuning, SizesAreInRange) {
  for (const Known& k : known()) {
    const TuningReport report = tuning_report(k.device);
    ASSERT_EQ(report.choices.size(), tuning_fields().size());
    for (const TuningField& field : tuning_fields()) {
      const std::uint32_t value = report.tuning.*field.member;
      EXPECT_GE(value, field.least) << k.row << " " << field.name;
      EXPECT_LE(value, field.most) << k.row << " " << field.name;
      if (!field.power_of_two) continue;
      EXPECT_TRUE(std::has_single_bit(value)) << k.row << " " << field.name;
      EXPECT_LE(value, k.device.max_workgroup_invocations) << k.row << " " << field.name;
    }
    EXPECT_LE(report.tuning.tier, k.device.best_tier) << k.row;
    for (const TuningChoice& choice : report.choices) EXPECT_FALSE(choice.reason.empty());
  }
}

TEST(Tuning, CpuDevicesShareOutNoRows) {
  for (const Known& k : known()) {
    const Tuning tuning = tuning_for(k.device);
    if (k.device.software) {
      EXPECT_EQ(tuning.narrow_threads, tuning.weight_lanes) << k.row;
    } else {
      EXPECT_GT(tuning.narrow_threads, tuning.weight_lanes) << k.row;
    }
  }
}

// Integer dot products round the activations: they are for those who ask for them.
TEST(Tuning, DotIsNeverTakenUnasked) {
  for (Known k : known()) {
    k.device.int_dot_accelerated = true;
    k.device.best_tier = std::max(k.device.best_tier, vk::Tier::kDot);
    EXPECT_NE(tuning_for(k.device).tier, vk::Tier::kDot) << k.row;
    k.device.storage_16bit = k.device.shader_f16 = false;
    EXPECT_EQ(tuning_for(k.device).tier, vk::Tier::kBase) << k.row;
  }
}

TEST(Tuning, MeasuredValuesStandFirst) {
  const vk::DeviceDescription device = gpu(0x10de, 32, 32);
  const std::vector<TunedValue> tuned = {
      {"norm_lanes", 128}, {"chunk_rows", 1u << 30}, {"of another release", 7}};
  const TuningReport report = tuning_report(device, tuned);
  EXPECT_EQ(report.tuning.norm_lanes, 128u);
  EXPECT_EQ(report.tuning.chunk_rows, find_tuning_field("chunk_rows")->most);
  EXPECT_EQ(report.tuning.weight_lanes, 32u);
  for (const TuningChoice& choice : report.choices) {
    const bool measured = choice.field == "norm_lanes" || choice.field == "chunk_rows";
    const TuningOrigin other =
        choice.field == "weight_lanes" ? TuningOrigin::kTable : TuningOrigin::kDefault;
    EXPECT_EQ(choice.origin, measured ? TuningOrigin::kTuned : other) << choice.field;
  }
}

}  // namespace
}  // namespace preflight::forward
