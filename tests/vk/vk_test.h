#pragma once

// What the tests of vk share: a device with validation on, and the check that it stayed silent.

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "vk/commands.h"
#include "vk/device.h"
#include "vk/pipeline.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::vk {

/// The value of a result that must be one; its message is the failure.
template <class T>
T must(Result<T> result) {
  if (!result.has_value()) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(result).value();
}

inline void must(const Result<void>& result) {
  ASSERT_TRUE(result.has_value()) << result.error().message;
}

/// A fresh device for each test, on whatever driver the environment shows.
class DeviceTest : public testing::Test {
 protected:
  void SetUp() override { device_.emplace(must(Device::create({.validation = true}))); }

  void TearDown() override {
    if (!device_) return;
    EXPECT_EQ(device_->validation_messages(), 0u) << device_->first_validation_message();
    EXPECT_EQ(device_->allocated_bytes(), 0u);
  }

  Device& device() { return *device_; }

  /// A pipeline of the test kernel: y[i] = factor * x[i] + addend.
  Pipeline affine(std::uint32_t factor, std::uint32_t workgroup = 64, bool reversed = false);

  std::optional<Device> device_;
};

/// 0, 1, 2 ... n-1 scaled by a large odd number: no two words alike.
std::vector<std::uint32_t> test_words(std::size_t n);

}  // namespace preflight::vk
