#include "vk/timeline.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {

constexpr std::chrono::milliseconds kSlice{500};

Result<Timeline> Timeline::create(DeviceState& device) {
  VkSemaphoreTypeCreateInfo type{};
  type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
  type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
  VkSemaphoreCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
  info.pNext = &type;
  Timeline timeline;
  PREFLIGHT_TRY_VOID(check(vkCreateSemaphore(device.device, &info, nullptr, &timeline.semaphore_),
                           "creating a timeline"));
  timeline.device_ = &device;
  return timeline;
}

Timeline::Timeline(Timeline&& other) noexcept { *this = std::move(other); }

Timeline& Timeline::operator=(Timeline&& other) noexcept {
  if (this != &other) {
    release();
    device_ = std::exchange(other.device_, nullptr);
    semaphore_ = std::exchange(other.semaphore_, VK_NULL_HANDLE);
    submitted_ = other.submitted_;
  }
  return *this;
}

Timeline::~Timeline() { release(); }

void Timeline::release() {
  if (device_ != nullptr && device_->idle()) {
    vkDestroySemaphore(device_->device, semaphore_, nullptr);
  }
  device_ = nullptr;
}

Result<std::uint64_t> Timeline::submit(std::span<const VkCommandBuffer> buffers) {
  if (device_->lost) {
    return fail(ErrorCode::kDeviceLost, fmt::format("\"{}\" was lost before this submission",
                                                    device_->physical.description.name));
  }
  std::vector<VkCommandBufferSubmitInfo> infos(buffers.size());
  for (std::size_t i = 0; i < buffers.size(); ++i) {
    infos[i].sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_SUBMIT_INFO;
    infos[i].commandBuffer = buffers[i];
  }
  VkSemaphoreSubmitInfo signal{};
  signal.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SUBMIT_INFO;
  signal.semaphore = semaphore_;
  signal.value = submitted_ + 1;
  signal.stageMask = VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT;
  VkSubmitInfo2 submit{};
  submit.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO_2;
  submit.commandBufferInfoCount = static_cast<std::uint32_t>(infos.size());
  submit.pCommandBufferInfos = infos.data();
  submit.signalSemaphoreInfoCount = 1;
  submit.pSignalSemaphoreInfos = &signal;
  const VkResult result = vkQueueSubmit2(device_->queue, 1, &submit, VK_NULL_HANDLE);
  if (result != VK_SUCCESS) {
    return tl::unexpected(device_->note(vulkan_error(
        result, fmt::format("submitting to \"{}\"", device_->physical.description.name))));
  }
  return ++submitted_;
}

Result<void> Timeline::wait(std::uint64_t value, std::chrono::milliseconds timeout,
                            const std::function<void()>& heartbeat) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  VkSemaphoreWaitInfo info{};
  info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
  info.semaphoreCount = 1;
  info.pSemaphores = &semaphore_;
  info.pValues = &value;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
        deadline - std::chrono::steady_clock::now());
    const auto slice =
        std::clamp<std::chrono::nanoseconds>(left, std::chrono::nanoseconds(0), kSlice);
    const VkResult result =
        vkWaitSemaphores(device_->device, &info, static_cast<std::uint64_t>(slice.count()));
    if (result == VK_SUCCESS) return {};
    if (result != VK_TIMEOUT) {
      return tl::unexpected(device_->note(vulkan_error(
          result, fmt::format("waiting for \"{}\"", device_->physical.description.name))));
    }
    if (heartbeat) heartbeat();
    if (std::chrono::steady_clock::now() >= deadline) {
      device_->hung = true;
      return tl::unexpected(
          device_->note({ErrorCode::kDeviceLost,
                         fmt::format("\"{}\" did not end a submission within {} ms",
                                     device_->physical.description.name, timeout.count())}));
    }
  }
}

}  // namespace preflight::vk
