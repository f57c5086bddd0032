#include "vk/timestamps.h"

#include <utility>
#include <vector>

#include <fmt/format.h>

#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {
namespace {

std::uint32_t valid_bits(const PhysicalDevice& physical) {
  std::uint32_t n = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(physical.handle, &n, nullptr);
  std::vector<VkQueueFamilyProperties> families(n);
  vkGetPhysicalDeviceQueueFamilyProperties(physical.handle, &n, families.data());
  return families.at(physical.queue_family).timestampValidBits;
}

}  // namespace

Result<Timestamps> Timestamps::create(Device& device, std::uint32_t n_marks) {
  DeviceState& state = device.state();
  const std::uint32_t bits = valid_bits(state.physical);
  if (bits == 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("the queue of \"{}\" keeps no time", device.description().name));
  }
  VkPhysicalDeviceProperties properties{};
  vkGetPhysicalDeviceProperties(state.physical.handle, &properties);

  Timestamps timestamps;
  VkQueryPoolCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
  info.queryType = VK_QUERY_TYPE_TIMESTAMP;
  info.queryCount = n_marks;
  PREFLIGHT_TRY_VOID(check(vkCreateQueryPool(state.device, &info, nullptr, &timestamps.pool_),
                           fmt::format("making {} timestamps", n_marks)));
  timestamps.device_ = &state;
  timestamps.n_marks_ = n_marks;
  timestamps.ns_per_tick_ = double{properties.limits.timestampPeriod};
  timestamps.valid_ticks_ = bits == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << bits) - 1;
  return timestamps;
}

Timestamps::Timestamps(Timestamps&& other) noexcept { *this = std::move(other); }

Timestamps& Timestamps::operator=(Timestamps&& other) noexcept {
  if (this != &other) {
    release();
    device_ = std::exchange(other.device_, nullptr);
    pool_ = std::exchange(other.pool_, VK_NULL_HANDLE);
    n_marks_ = other.n_marks_;
    ns_per_tick_ = other.ns_per_tick_;
    valid_ticks_ = other.valid_ticks_;
  }
  return *this;
}

Timestamps::~Timestamps() { release(); }

void Timestamps::release() {
  if (device_ != nullptr && device_->idle()) vkDestroyQueryPool(device_->device, pool_, nullptr);
  device_ = nullptr;
}

void Timestamps::reset(const CommandList& list) const {
  vkCmdResetQueryPool(list.handle(), pool_, 0, n_marks_);
}

void Timestamps::mark(const CommandList& list, std::uint32_t ix) const {
  vkCmdWriteTimestamp2(list.handle(), VK_PIPELINE_STAGE_2_ALL_COMMANDS_BIT, pool_, ix);
}

Result<double> Timestamps::ms_between(std::uint32_t from, std::uint32_t to) const {
  PREFLIGHT_ASSERT(from < n_marks_ && to < n_marks_);
  std::vector<std::uint64_t> ticks(n_marks_);
  PREFLIGHT_TRY_VOID(check(vkGetQueryPoolResults(device_->device, pool_, 0, n_marks_,
                                                 ticks.size() * sizeof(std::uint64_t), ticks.data(),
                                                 sizeof(std::uint64_t),
                                                 VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
                           "reading timestamps"));
  const std::uint64_t taken = (ticks[to] - ticks[from]) & valid_ticks_;
  return static_cast<double>(taken) * ns_per_tick_ * 1e-6;
}

}  // namespace preflight::vk
