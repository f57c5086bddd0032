#include "vk/result.h"

#include <fmt/format.h>

namespace preflight::vk {

std::string describe(VkResult result) {
  switch (result) {
    case VK_SUCCESS:
      return "SUCCESS";
    case VK_NOT_READY:
      return "NOT_READY";
    case VK_TIMEOUT:
      return "TIMEOUT";
    case VK_INCOMPLETE:
      return "INCOMPLETE";
    case VK_ERROR_OUT_OF_HOST_MEMORY:
      return "ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
      return "ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED:
      return "ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST:
      return "ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED:
      return "ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_LAYER_NOT_PRESENT:
      return "ERROR_LAYER_NOT_PRESENT";
    case VK_ERROR_EXTENSION_NOT_PRESENT:
      return "ERROR_EXTENSION_NOT_PRESENT";
    case VK_ERROR_FEATURE_NOT_PRESENT:
      return "ERROR_FEATURE_NOT_PRESENT";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      return "ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS:
      return "ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTED_POOL:
      return "ERROR_FRAGMENTED_POOL";
    case VK_ERROR_OUT_OF_POOL_MEMORY:
      return "ERROR_OUT_OF_POOL_MEMORY";
    case VK_ERROR_FRAGMENTATION:
      return "ERROR_FRAGMENTATION";
    case VK_ERROR_UNKNOWN:
      return "ERROR_UNKNOWN";
    case VK_PIPELINE_COMPILE_REQUIRED:
      return "PIPELINE_COMPILE_REQUIRED";
    default:
      return fmt::format("result {}", static_cast<int>(result));
  }
}

Error vulkan_error(VkResult result, std::string_view doing) {
  ErrorCode code = ErrorCode::kInternal;
  switch (result) {
    case VK_ERROR_DEVICE_LOST:
      code = ErrorCode::kDeviceLost;
      break;
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_OUT_OF_POOL_MEMORY:
    case VK_ERROR_FRAGMENTATION:
    case VK_ERROR_TOO_MANY_OBJECTS:
      code = ErrorCode::kOutOfMemory;
      break;
    case VK_ERROR_LAYER_NOT_PRESENT:
    case VK_ERROR_EXTENSION_NOT_PRESENT:
    case VK_ERROR_FEATURE_NOT_PRESENT:
    case VK_ERROR_INCOMPATIBLE_DRIVER:
      code = ErrorCode::kUnsupported;
      break;
    default:
      break;
  }
  return {code, fmt::format("{}: {}", doing, describe(result))};
}

Result<void> check(VkResult result, std::string_view doing) {
  if (result == VK_SUCCESS) return {};
  return tl::unexpected(vulkan_error(result, doing));
}

std::string format_bytes(VkDeviceSize bytes) {
  constexpr VkDeviceSize kKib = 1u << 10, kMib = 1u << 20, kGib = 1u << 30;
  if (bytes >= kGib) return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / kGib);
  if (bytes >= 10 * kMib) return fmt::format("{} MiB", bytes / kMib);
  if (bytes >= kMib) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / kMib);
  if (bytes >= 10 * kKib) return fmt::format("{} KiB", bytes / kKib);
  return fmt::format("{} bytes", bytes);
}

}  // namespace preflight::vk
