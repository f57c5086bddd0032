#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <span>

#include <vulkan/vulkan.h>

#include "vk/error.h"

namespace preflight::vk {

struct DeviceState;

/// A counting semaphore: each submission raises it by one, the host waits for a value.
class Timeline {
 public:
  [[nodiscard]] static Result<Timeline> create(DeviceState& device);
  Timeline(Timeline&& other) noexcept;
  Timeline& operator=(Timeline&& other) noexcept;
  ~Timeline();

  /// Submits the buffers in order and returns the value that tells their end.
  [[nodiscard]] Result<std::uint64_t> submit(std::span<const VkCommandBuffer> buffers);
  /// Waits in slices of at most 500 ms, `heartbeat` (may be empty) between them. Errors:
  /// kDeviceLost, also when `value` is not reached within the timeout; the device then counts as
  /// hung.
  [[nodiscard]] Result<void> wait(std::uint64_t value, std::chrono::milliseconds timeout,
                                  const std::function<void()>& heartbeat = {});

 private:
  Timeline() = default;
  void release();

  DeviceState* device_ = nullptr;
  VkSemaphore semaphore_ = VK_NULL_HANDLE;
  std::uint64_t submitted_ = 0;
};

}  // namespace preflight::vk
