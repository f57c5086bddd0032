#include "vk/buffer.h"

#include <utility>

#include <fmt/format.h>

#include "vk/allocator.h"
#include "vk/device_state.h"

namespace preflight::vk {

Result<Buffer> Buffer::create(Device& device, VkDeviceSize size_bytes, Residency residency,
                              std::string_view label) {
  PREFLIGHT_TRY(auto allocation, device.state().allocator->allocate(size_bytes, residency, label));
  return Buffer(std::move(allocation));
}

Buffer::Buffer(std::unique_ptr<Allocation> allocation) : allocation_(std::move(allocation)) {}
Buffer::Buffer(Buffer&& other) noexcept = default;
Buffer& Buffer::operator=(Buffer&& other) noexcept = default;
Buffer::~Buffer() = default;

VkBuffer Buffer::handle() const { return allocation_->buffer; }
VkDeviceSize Buffer::size_bytes() const { return allocation_->size_bytes; }
const std::string& Buffer::label() const { return allocation_->label; }
VkDeviceAddress Buffer::address() const { return allocation_->address; }
bool Buffer::host_cached() const { return allocation_->host_cached; }

std::span<std::byte> Buffer::host_view() const {
  if (allocation_->host == nullptr) return {};
  return {allocation_->host, allocation_->size_bytes};
}

Result<void> check_bounds(const Slice& slice, std::string_view use) {
  if (slice.buffer == nullptr) {
    return fail(ErrorCode::kInternal, fmt::format("{}: no buffer given", use));
  }
  const VkDeviceSize all = slice.buffer->size_bytes();
  if (slice.size_bytes == 0 || slice.offset_bytes > all ||
      slice.size_bytes > all - slice.offset_bytes) {
    return fail(ErrorCode::kInternal,
                fmt::format("{}: {} bytes from {} do not lie in \"{}\" of {} bytes", use,
                            slice.size_bytes, slice.offset_bytes, slice.buffer->label(), all));
  }
  return {};
}

}  // namespace preflight::vk
