#pragma once

#include <string>
#include <string_view>

#include <vulkan/vulkan.h>

#include "vk/error.h"

namespace preflight::vk {

/// The name of a VkResult without its VK_ prefix ("ERROR_DEVICE_LOST"), or its number.
[[nodiscard]] std::string describe(VkResult result);

/// An Error for a failed call: "<doing>: ERROR_DEVICE_LOST". The code follows the result: lost
/// device, out of memory (host or device), missing part (kUnsupported), else kInternal.
[[nodiscard]] Error vulkan_error(VkResult result, std::string_view doing);

/// Nothing when `result` is VK_SUCCESS, else vulkan_error().
[[nodiscard]] Result<void> check(VkResult result, std::string_view doing);

/// "640 MiB", "1.5 GiB", "300 bytes": for messages.
[[nodiscard]] std::string format_bytes(VkDeviceSize bytes);

}  // namespace preflight::vk
