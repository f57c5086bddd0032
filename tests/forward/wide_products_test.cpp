// How a device's matrix units are used: tiles that its fragments and its shared memory allow.

#include "engine/forward/wide_products.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "engine/forward/tuning.h"

namespace preflight::forward {
namespace {

vk::DeviceDescription device_with(vk::CoopmatShape fragment, std::uint32_t subgroup_size) {
  vk::DeviceDescription device;
  device.vendor_id = 0x1002;
  device.subgroup_size = device.min_subgroup_size = device.max_subgroup_size = subgroup_size;
  device.max_workgroup_invocations = 1024;
  device.max_shared_bytes = 32768;
  device.storage_16bit = device.shader_f16 = true;
  device.best_tier = vk::Tier::kCoopmat;
  device.coopmat = fragment;
  return device;
}

TEST(CoopmatTile, FitsFragmentsAndSharedMemory) {
  if (!has_coopmat_kernels()) GTEST_SKIP() << "this build has no kernels of tier coopmat";
  for (const std::uint32_t wanted : {32u, 64u, 128u})
    for (const std::uint32_t lanes : {8u, 16u, 32u, 64u, 128u})
      for (const vk::CoopmatShape shape :
           {vk::CoopmatShape{8, 8, 8}, {16, 16, 16}, {8, 16, 16}, {16, 8, 16}, {32, 8, 8}}) {
        Tuning tuning;
        tuning.coopmat_tile = wanted;
        const auto tile = coopmat_tile(device_with(shape, lanes), tuning);
        if (!tile) {  // too large a fragment for so small a tile
          EXPECT_LT(wanted, 4 * std::max(shape.m, shape.n)) << lanes;
          continue;
        }
        EXPECT_LE(tile->rows, wanted);
        EXPECT_EQ(tile->rows % (2 * shape.m * tile->subgroup_rows), 0u);
        EXPECT_EQ(tile->columns % (shape.n * tile->subgroup_columns), 0u);
        EXPECT_LE(tile->subgroup_rows * tile->subgroup_columns * tile->subgroup_size, 256u);
      }
}

TEST(CoopmatTile, IsNoneWithoutMatrixUnitsOrRoom) {
  Tuning tuning;
  tuning.coopmat_tile = 64;
  EXPECT_FALSE(coopmat_tile(device_with({}, 32), tuning).has_value());
  vk::DeviceDescription small = device_with({16, 16, 16}, 32);
  small.max_shared_bytes = 4096;
  EXPECT_FALSE(coopmat_tile(small, tuning).has_value());
}

TEST(CoopmatTile, DecidesTheTierThatIsTaken) {
  const vk::DeviceDescription device = device_with({16, 16, 16}, 32);
  EXPECT_EQ(tuning_for(device).tier, has_coopmat_kernels() ? vk::Tier::kCoopmat : vk::Tier::kF16);
  vk::DeviceDescription without = device;
  without.coopmat = {};
  EXPECT_EQ(tuning_for(without).tier, vk::Tier::kF16);
  vk::DeviceDescription software = device;
  software.software = true;
  EXPECT_EQ(tuning_for(software).tier, vk::Tier::kBase);
}

}  // namespace
}  // namespace preflight::forward
