// Which CPU driver is asked for wider vectors, and which is left alone.

#include "vk/wide_vectors.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace preflight::vk {
namespace {

constexpr const char* kVariable = "LP_NATIVE_VECTOR_WIDTH";

DeviceDescription llvmpipe(std::string version) {
  DeviceDescription device;
  device.software = true;
  device.driver_name = "llvmpipe";
  device.driver_version = std::move(version);
  device.subgroup_size = 8;
  return device;
}

class WideVectors : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* old = std::getenv(kVariable)) old_ = old;
    ASSERT_EQ(unsetenv(kVariable), 0);
  }
  void TearDown() override {
    if (old_.empty())
      EXPECT_EQ(unsetenv(kVariable), 0);
    else
      EXPECT_EQ(setenv(kVariable, old_.c_str(), 1), 0);
  }

 private:
  std::string old_;
};

TEST_F(WideVectors, TheOlderDriverLosesByThem) {
  EXPECT_FALSE(ask_for_wide_vectors(llvmpipe("Mesa 22.3.6 (LLVM 15.0.6)")));
  EXPECT_EQ(std::getenv(kVariable), nullptr);
}

TEST_F(WideVectors, OtherDevicesAreLeftAlone) {
  DeviceDescription card = llvmpipe("Mesa 26.1.6");
  card.software = false;
  EXPECT_FALSE(ask_for_wide_vectors(card));
  DeviceDescription other = llvmpipe("5.0.0");
  other.driver_name = "SwiftShader driver";
  EXPECT_FALSE(ask_for_wide_vectors(other));
  EXPECT_EQ(std::getenv(kVariable), nullptr);
}

TEST_F(WideVectors, WhatTheUserHasSetStays) {
  ASSERT_EQ(setenv(kVariable, "128", 1), 0);
  EXPECT_FALSE(ask_for_wide_vectors(llvmpipe("Mesa 26.1.6")));
  EXPECT_STREQ(std::getenv(kVariable), "128");
}

TEST_F(WideVectors, AskedForOnceWhereTheProcessorHasThem) {
  if (!ask_for_wide_vectors(llvmpipe("Mesa 26.1.6-1 (LLVM 21.1.8)"))) {
    EXPECT_EQ(std::getenv(kVariable), nullptr);
    GTEST_SKIP() << "this processor has no vectors of 512 bits";
  }
  EXPECT_STREQ(std::getenv(kVariable), "512");
  EXPECT_FALSE(ask_for_wide_vectors(llvmpipe("Mesa 26.1.6-1 (LLVM 21.1.8)")));
}

TEST(NarrowVectors, AreNamedByTheirWidth) {
  for (const char* const name : {"256", "256 BITS", "llvmpipe (LLVM 21.1.8, 256 bits)"})
    EXPECT_TRUE(names_narrow_vectors(name)) << name;
  for (const char* const name : {"", "llvmpipe", "bits"})
    EXPECT_FALSE(names_narrow_vectors(name)) << name;
}

TEST(MesaVersion, IsTheMajorOneOrNone) {
  EXPECT_EQ(mesa_version(llvmpipe("Mesa 22.3.6 (LLVM 15.0.6)")), 22u);
  EXPECT_EQ(mesa_version(llvmpipe("535.183.01")), 0u);
  EXPECT_EQ(mesa_version(llvmpipe("Mesa ")), 0u);
}

}  // namespace
}  // namespace preflight::vk
