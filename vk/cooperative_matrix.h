#pragma once

#include <vulkan/vulkan.h>

#include "vk/device.h"

namespace preflight::vk {

/// The fragment to multiply float16 matrices with, into float32 sums and with subgroup scope: the
/// largest of those that the device offers with sides of 8, 16 or 32; none without
/// VK_KHR_cooperative_matrix, or when this build's Vulkan headers are older than it.
[[nodiscard]] CoopmatShape coopmat_shape(VkInstance instance, VkPhysicalDevice device);

}  // namespace preflight::vk
