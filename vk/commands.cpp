#include "vk/commands.h"

#include <array>
#include <utility>

#include <fmt/format.h>

#include "vk/barrier.h"
#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {

Result<CommandList> CommandList::create(Device& device) {
  DeviceState& state = device.state();
  CommandList list;
  list.device_ = &state;
  // A pool of its own: recording anew resets this list and no other.
  VkCommandPoolCreateInfo pool{};
  pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
  pool.queueFamilyIndex = state.physical.queue_family;
  PREFLIGHT_TRY_VOID(check(vkCreateCommandPool(state.device, &pool, nullptr, &list.pool_),
                           "creating a command pool"));
  VkCommandBufferAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
  info.commandPool = list.pool_;
  info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
  info.commandBufferCount = 1;
  PREFLIGHT_TRY_VOID(check(vkAllocateCommandBuffers(state.device, &info, &list.handle_),
                           "creating a command buffer"));
  return list;
}

CommandList::CommandList(CommandList&& other) noexcept { *this = std::move(other); }

CommandList& CommandList::operator=(CommandList&& other) noexcept {
  if (this != &other) {
    release();
    device_ = std::exchange(other.device_, nullptr);
    pool_ = std::exchange(other.pool_, VK_NULL_HANDLE);
    handle_ = std::exchange(other.handle_, VK_NULL_HANDLE);
    recording_ = std::exchange(other.recording_, false);
    ready_ = std::exchange(other.ready_, false);
    first_error_ = std::exchange(other.first_error_, std::nullopt);
  }
  return *this;
}

CommandList::~CommandList() { release(); }

void CommandList::release() {
  if (device_ != nullptr && device_->idle()) vkDestroyCommandPool(device_->device, pool_, nullptr);
  device_ = nullptr;
}

void CommandList::keep(Error error) {
  if (!first_error_) first_error_ = std::move(error);
}

void CommandList::begin() {
  first_error_.reset();
  ready_ = false;
  recording_ = false;
  VkResult result = vkResetCommandPool(device_->device, pool_, 0);
  if (result == VK_SUCCESS) {
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    result = vkBeginCommandBuffer(handle_, &info);
  }
  if (result != VK_SUCCESS) {
    keep(vulkan_error(result, "beginning a command list"));
    return;
  }
  recording_ = true;
  barrier();
}

// What both forms of dispatch have in common; false: an error was kept, record nothing.
bool CommandList::bind(const Pipeline& pipeline, const BindingSet& bindings,
                       std::span<const std::byte> push) {
  if (!recording_) {
    keep({ErrorCode::kInternal,
          fmt::format("\"{}\" is recorded outside begin and end", pipeline.label())});
    return false;
  }
  if (bindings.n_bindings() != pipeline.n_bindings()) {
    keep({ErrorCode::kInternal,
          fmt::format("\"{}\" has {} bindings, the set has {}", pipeline.label(),
                      pipeline.n_bindings(), bindings.n_bindings())});
    return false;
  }
  if (bindings.layout() != pipeline.set_layout()) {
    keep({ErrorCode::kInternal,
          fmt::format("\"{}\" has bindings of other kinds than the set", pipeline.label())});
    return false;
  }
  if (push.size() != pipeline.push_bytes()) {
    keep(
        {ErrorCode::kInternal, fmt::format("\"{}\" takes {} bytes of push constants, {} were given",
                                           pipeline.label(), pipeline.push_bytes(), push.size())});
    return false;
  }
  const VkDescriptorSet set = bindings.handle();
  vkCmdBindPipeline(handle_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.handle());
  vkCmdBindDescriptorSets(handle_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline.layout(), 0, 1, &set, 0,
                          nullptr);
  if (!push.empty()) {
    vkCmdPushConstants(handle_, pipeline.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                       static_cast<std::uint32_t>(push.size()), push.data());
  }
  if (const auto addresses = bindings.addresses(); !addresses.empty()) {
    vkCmdPushConstants(handle_, pipeline.layout(), VK_SHADER_STAGE_COMPUTE_BIT,
                       address_offset(pipeline.push_bytes()),
                       static_cast<std::uint32_t>(addresses.size_bytes()), addresses.data());
  }
  return true;
}

void CommandList::dispatch(const Pipeline& pipeline, const BindingSet& bindings,
                           std::span<const std::byte> push, std::uint32_t x, std::uint32_t y,
                           std::uint32_t z) {
  const std::array<std::uint32_t, 3> grid = {x, y, z};
  const std::array<std::uint32_t, 3>& most = device_->physical.description.max_grid;
  for (std::size_t i = 0; i < grid.size(); ++i) {
    if (grid[i] == 0 || grid[i] > most[i]) {
      keep({ErrorCode::kLimit,
            fmt::format("\"{}\" on a grid of {} x {} x {}; each is at least 1 and at most {} x {} "
                        "x {}",
                        pipeline.label(), x, y, z, most[0], most[1], most[2])});
      return;
    }
  }
  if (bind(pipeline, bindings, push)) vkCmdDispatch(handle_, x, y, z);
}

void CommandList::dispatch_indirect(const Pipeline& pipeline, const BindingSet& bindings,
                                    std::span<const std::byte> push, const Slice& grid) {
  auto bounds = check_bounds(grid, fmt::format("grid of \"{}\"", pipeline.label()));
  if (!bounds.has_value()) return keep(std::move(bounds).error());
  if (grid.offset_bytes % 4 != 0 || grid.size_bytes < 12) {
    return keep({ErrorCode::kInternal,
                 fmt::format("grid of \"{}\": {} bytes at offset {}; 12 at a multiple of 4 are "
                             "needed",
                             pipeline.label(), grid.size_bytes, grid.offset_bytes)});
  }
  if (bind(pipeline, bindings, push)) {
    vkCmdDispatchIndirect(handle_, grid.buffer->handle(), grid.offset_bytes);
  }
}

void CommandList::barrier() {
  if (!recording_) {
    return keep({ErrorCode::kInternal, "a barrier is recorded outside begin and end"});
  }
  record_barrier(handle_);
}

void CommandList::copy(const Slice& source, const Slice& target) {
  for (const Slice* slice : {&source, &target}) {
    auto bounds = check_bounds(*slice, slice == &source ? "source of a copy" : "target of a copy");
    if (!bounds.has_value()) return keep(std::move(bounds).error());
  }
  const bool overlap = source.buffer == target.buffer &&
                       source.offset_bytes < target.offset_bytes + target.size_bytes &&
                       target.offset_bytes < source.offset_bytes + source.size_bytes;
  if (source.size_bytes != target.size_bytes || overlap || !recording_) {
    return keep({ErrorCode::kInternal,
                 fmt::format("copy of {} bytes of \"{}\" to {} bytes of \"{}\"{}{}",
                             source.size_bytes, source.buffer->label(), target.size_bytes,
                             target.buffer->label(), overlap ? ", which overlap" : "",
                             recording_ ? "" : ", outside begin and end")});
  }
  const VkBufferCopy region{source.offset_bytes, target.offset_bytes, source.size_bytes};
  vkCmdCopyBuffer(handle_, source.buffer->handle(), target.buffer->handle(), 1, &region);
}

void CommandList::fill(const Slice& target, std::uint32_t value) {
  auto bounds = check_bounds(target, "target of a fill");
  if (!bounds.has_value()) return keep(std::move(bounds).error());
  if (target.offset_bytes % 4 != 0 || target.size_bytes % 4 != 0 || !recording_) {
    return keep({ErrorCode::kInternal,
                 fmt::format("fill of {} bytes of \"{}\" from {}: multiples of 4 are needed{}",
                             target.size_bytes, target.buffer->label(), target.offset_bytes,
                             recording_ ? "" : ", between begin and end")});
  }
  vkCmdFillBuffer(handle_, target.buffer->handle(), target.offset_bytes, target.size_bytes, value);
}

Result<void> CommandList::end() {
  if (recording_) {
    recording_ = false;
    const VkResult result = vkEndCommandBuffer(handle_);
    if (result != VK_SUCCESS) keep(vulkan_error(result, "ending a command list"));
  } else {
    keep({ErrorCode::kInternal, "a command list was ended that had not begun"});
  }
  if (first_error_) return tl::unexpected(*first_error_);
  ready_ = true;
  return {};
}

}  // namespace preflight::vk
