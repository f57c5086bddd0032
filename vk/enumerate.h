#pragma once

// Which physical devices there are, what each can do, and which one is taken.

#include <cstdint>
#include <string>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

/// What the base tier needs beyond what Vulkan 1.3 promises; a device with less is refused.
constexpr std::uint32_t kBaseWorkgroupInvocations = 256;
constexpr std::uint32_t kBaseSharedBytes = 16384;
constexpr std::uint32_t kBaseStorageBuffers = 8;
constexpr VkSubgroupFeatureFlags kBaseSubgroupOperations =
    VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_VOTE_BIT |
    VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT |
    VK_SUBGROUP_FEATURE_SHUFFLE_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT;

struct PhysicalDevice {
  VkPhysicalDevice handle = VK_NULL_HANDLE;
  std::uint32_t queue_family = 0;    ///< of compute; valid when the description is not refused
  bool memory_budget = false;        ///< VK_EXT_memory_budget is there
  bool pipeline_statistics = false;  ///< VK_KHR_pipeline_executable_properties is
  std::array<std::uint8_t, 16> pipeline_cache_uuid{};
  DeviceDescription description;
};

/// All devices of the instance, described but not chosen from.
[[nodiscard]] Result<std::vector<PhysicalDevice>> enumerate(VkInstance instance);

/// Sets `chosen` and `reason` of each; at most one is chosen.
void choose(std::vector<DeviceDescription*> devices, const std::string& name_contains);

/// What may still be allocated on the device (DeviceDescription::budget_bytes), asked now.
/// `allocated_bytes` is what we hold, for drivers that do not count it themselves.
[[nodiscard]] VkDeviceSize query_free_bytes(const PhysicalDevice& device,
                                            VkDeviceSize allocated_bytes);

}  // namespace preflight::vk
