#include "vk/allocator.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {

/// One VkDeviceMemory and what is free in it.
struct MemoryBlock {
  VkDeviceMemory memory = VK_NULL_HANDLE;
  std::uint32_t memory_type = 0;
  VkDeviceSize size_bytes = 0;
  std::byte* host = nullptr;
  std::uint32_t n_buffers = 0;
  std::map<VkDeviceSize, VkDeviceSize> free;  // offset -> size; no two touch

  // Takes the first gap that fits; the bytes skipped for alignment stay free.
  std::optional<VkDeviceSize> take(VkDeviceSize bytes, VkDeviceSize alignment) {
    for (auto gap = free.begin(); gap != free.end(); ++gap) {
      const auto [gap_offset, gap_bytes] = *gap;
      const VkDeviceSize offset = (gap_offset + alignment - 1) / alignment * alignment;
      const VkDeviceSize skipped = offset - gap_offset;
      if (skipped > gap_bytes || gap_bytes - skipped < bytes) continue;
      free.erase(gap);
      if (skipped > 0) free.emplace(gap_offset, skipped);
      if (gap_bytes - skipped > bytes) free.emplace(offset + bytes, gap_bytes - skipped - bytes);
      ++n_buffers;
      return offset;
    }
    return std::nullopt;
  }

  void put(VkDeviceSize offset, VkDeviceSize bytes) {
    auto next = free.upper_bound(offset);
    if (next != free.end() && offset + bytes == next->first) {
      bytes += next->second;
      next = free.erase(next);
    }
    if (next != free.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == offset) {
        before->second += bytes;
        --n_buffers;
        return;
      }
    }
    free.emplace(offset, bytes);
    --n_buffers;
  }
};

namespace {

constexpr VkDeviceSize kDeviceBlockBytes = VkDeviceSize{32} << 20;
constexpr VkDeviceSize kHostBlockBytes = VkDeviceSize{8} << 20;
// Neighbours in a block never share a cache line, and every buffer can be bound at its begin.
constexpr VkDeviceSize kMinAlignment = 256;

constexpr VkMemoryPropertyFlags kLocal = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
constexpr VkMemoryPropertyFlags kCoherent =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
constexpr VkMemoryPropertyFlags kCached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;

}  // namespace

Allocation::~Allocation() {
  if (!device->idle()) return;
  if (buffer != VK_NULL_HANDLE) vkDestroyBuffer(device->device, buffer, nullptr);
  if (block != nullptr) device->allocator->give_back(*this);
}

Allocator::Allocator(DeviceState& device) : device_(device) {
  vkGetPhysicalDeviceMemoryProperties(device.physical.handle, &memory_);
}

Allocator::~Allocator() {
  if (!device_.idle()) return;
  for (const auto& block : blocks_) vkFreeMemory(device_.device, block->memory, nullptr);
}

// The types to try, best first. Types with further properties (protected, lazily allocated,
// vendors' uncached ones) need features that we do not enable.
std::vector<std::uint32_t> Allocator::memory_types(Residency residency,
                                                   std::uint32_t allowed_bits) const {
  const DeviceDescription& d = device_.physical.description;
  std::vector<VkMemoryPropertyFlags> wishes;
  switch (residency) {
    case Residency::kDevice:
      if (d.unified_memory) wishes = {kLocal | kCoherent | kCached, kLocal | kCoherent};
      wishes.push_back(kLocal);
      wishes.push_back(kLocal | kCoherent | kCached);
      wishes.push_back(kLocal | kCoherent);
      // The further heaps of an integrated GPU are the same memory. On a card they would be read
      // over the bus: there the request is better refused.
      if (d.shares_system_memory) {
        wishes.push_back(kCoherent | kCached);
        wishes.push_back(kCoherent);
      }
      break;
    case Residency::kUpload:
      wishes = {kCoherent, kCoherent | kCached, kLocal | kCoherent, kLocal | kCoherent | kCached};
      break;
    case Residency::kReadback:
      wishes = {kCoherent | kCached, kLocal | kCoherent | kCached, kCoherent, kLocal | kCoherent};
      break;
  }
  std::vector<std::uint32_t> types;
  for (const VkMemoryPropertyFlags wish : wishes) {
    for (std::uint32_t i = 0; i < memory_.memoryTypeCount; ++i) {
      if ((allowed_bits & (1u << i)) == 0 || memory_.memoryTypes[i].propertyFlags != wish) continue;
      if (std::find(types.begin(), types.end(), i) == types.end()) types.push_back(i);
    }
  }
  return types;
}

Error Allocator::out_of_memory(const Allocation& allocation, std::string_view cause) const {
  const DeviceDescription& d = device_.physical.description;
  return {ErrorCode::kOutOfMemory,
          fmt::format("no memory for \"{}\" on \"{}\": {} asked, {} free, {} held by us ({})",
                      allocation.label, d.name, format_bytes(allocation.size_bytes),
                      format_bytes(query_free_bytes(device_.physical, allocated_bytes_)),
                      format_bytes(allocated_bytes_), cause)};
}

Result<MemoryBlock*> Allocator::new_block(VkDeviceSize size_bytes, std::uint32_t memory_type,
                                          VkResult& result) {
  auto block = std::make_unique<MemoryBlock>();
  VkMemoryAllocateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
  info.allocationSize = size_bytes;
  info.memoryTypeIndex = memory_type;
  VkMemoryAllocateFlagsInfo flags{};
  flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
  flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
  if (device_.physical.description.buffer_addresses) info.pNext = &flags;
  result = vkAllocateMemory(device_.device, &info, nullptr, &block->memory);
  if (result != VK_SUCCESS) return tl::unexpected(vulkan_error(result, "allocating memory"));
  if ((memory_.memoryTypes[memory_type].propertyFlags & VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT) != 0) {
    void* host = nullptr;
    result = vkMapMemory(device_.device, block->memory, 0, VK_WHOLE_SIZE, 0, &host);
    if (result != VK_SUCCESS) {
      vkFreeMemory(device_.device, block->memory, nullptr);
      return tl::unexpected(vulkan_error(result, "mapping memory"));
    }
    block->host = static_cast<std::byte*>(host);
  }
  block->memory_type = memory_type;
  block->size_bytes = size_bytes;
  block->free.emplace(0, size_bytes);
  reserved_bytes_ += size_bytes;
  return blocks_.emplace_back(std::move(block)).get();
}

// Finds room for the buffer: in a block that is there, else in a new one.
Result<MemoryBlock*> Allocator::place(const VkMemoryRequirements& needs, Residency residency,
                                      Allocation& allocation) {
  const DeviceDescription& d = device_.physical.description;
  const VkDeviceSize alignment =
      std::max({needs.alignment, kMinAlignment, d.min_storage_offset_alignment});
  const std::vector<std::uint32_t> types = memory_types(residency, needs.memoryTypeBits);
  if (types.empty()) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("\"{}\" has no memory type for \"{}\" (allowed types {:#x})", d.name,
                            allocation.label, needs.memoryTypeBits));
  }
  VkResult result = VK_SUCCESS;
  for (const std::uint32_t type : types) {
    for (const auto& block : blocks_) {
      if (block->memory_type != type) continue;
      if (const auto offset = block->take(needs.size, alignment)) {
        allocation.block_offset = *offset;
        return block.get();
      }
    }
    const VkDeviceSize heap_bytes = memory_.memoryHeaps[memory_.memoryTypes[type].heapIndex].size;
    const VkDeviceSize common_bytes =
        std::min({residency == Residency::kDevice ? kDeviceBlockBytes : kHostBlockBytes,
                  d.max_allocation_bytes, heap_bytes / 16});
    VkDeviceSize block_bytes = needs.size > common_bytes / 2 ? needs.size : common_bytes;
    // A CPU driver takes its memory from malloc, which promises more than there is.
    if (d.software) {
      const VkDeviceSize free = query_free_bytes(device_.physical, allocated_bytes_);
      if (needs.size > free) return tl::unexpected(out_of_memory(allocation, "system memory"));
      if (block_bytes > free) block_bytes = needs.size;
    }
    auto block = new_block(block_bytes, type, result);
    if (!block.has_value() && block_bytes > needs.size) block = new_block(needs.size, type, result);
    if (block.has_value()) {
      const auto offset = (*block)->take(needs.size, alignment);
      PREFLIGHT_ASSERT(offset.has_value());
      allocation.block_offset = *offset;
      return block;
    }
  }
  if (vulkan_error(result, "").code != ErrorCode::kOutOfMemory) {
    return tl::unexpected(vulkan_error(
        result,
        fmt::format("allocating {} for \"{}\"", format_bytes(needs.size), allocation.label)));
  }
  return tl::unexpected(out_of_memory(allocation, describe(result)));
}

Result<std::unique_ptr<Allocation>> Allocator::allocate(VkDeviceSize size_bytes,
                                                        Residency residency,
                                                        std::string_view label) {
  const DeviceDescription& d = device_.physical.description;
  if (size_bytes == 0) {
    return fail(ErrorCode::kInternal, fmt::format("buffer \"{}\" has no size", label));
  }
  if (size_bytes > d.max_allocation_bytes) {
    return fail(
        ErrorCode::kLimit,
        fmt::format("buffer \"{}\" of {} is larger than one allocation on \"{}\", {}", label,
                    format_bytes(size_bytes), d.name, format_bytes(d.max_allocation_bytes)));
  }
  auto allocation = std::make_unique<Allocation>(device_);
  allocation->size_bytes = size_bytes;
  allocation->label = label;

  VkBufferCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.size = size_bytes;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
               VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
               VK_BUFFER_USAGE_UNIFORM_TEXEL_BUFFER_BIT;
  if (d.buffer_addresses) info.usage |= VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
  info.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
  const VkResult created = vkCreateBuffer(device_.device, &info, nullptr, &allocation->buffer);
  if (created != VK_SUCCESS) {
    if (vulkan_error(created, "").code == ErrorCode::kOutOfMemory) {
      return tl::unexpected(out_of_memory(*allocation, describe(created)));
    }
    return tl::unexpected(vulkan_error(created, fmt::format("creating buffer \"{}\"", label)));
  }
  VkMemoryRequirements needs{};
  vkGetBufferMemoryRequirements(device_.device, allocation->buffer, &needs);
  PREFLIGHT_TRY(MemoryBlock* const block, place(needs, residency, *allocation));
  allocation->block = block;
  allocation->block_bytes = needs.size;
  allocated_bytes_ += size_bytes;
  peak_bytes_ = std::max(peak_bytes_, allocated_bytes_);
  PREFLIGHT_TRY_VOID(check(vkBindBufferMemory(device_.device, allocation->buffer, block->memory,
                                              allocation->block_offset),
                           fmt::format("binding memory to \"{}\"", label)));
  if (block->host != nullptr) allocation->host = block->host + allocation->block_offset;
  if (d.buffer_addresses) {
    VkBufferDeviceAddressInfo whole{};
    whole.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
    whole.buffer = allocation->buffer;
    allocation->address = vkGetBufferDeviceAddress(device_.device, &whole);
  }
  allocation->host_cached = (memory_.memoryTypes[block->memory_type].propertyFlags & kCached) != 0;
  device_.set_name(VK_OBJECT_TYPE_BUFFER, reinterpret_cast<std::uint64_t>(allocation->buffer),
                   label);
  return allocation;
}

void Allocator::give_back(const Allocation& allocation) {
  allocated_bytes_ -= allocation.size_bytes;
  allocation.block->put(allocation.block_offset, allocation.block_bytes);
  if (allocation.block->n_buffers > 0) return;
  reserved_bytes_ -= allocation.block->size_bytes;
  vkFreeMemory(device_.device, allocation.block->memory, nullptr);
  blocks_.remove_if([&](const auto& block) { return block.get() == allocation.block; });
}

}  // namespace preflight::vk
