#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/buffer.h"
#include "vk/error.h"

namespace preflight::vk {

struct MemoryBlock;

/// A buffer with its share of a block. Destroying it gives both back.
struct Allocation {
  explicit Allocation(DeviceState& device_in) : device(&device_in) {}
  Allocation(const Allocation&) = delete;
  Allocation& operator=(const Allocation&) = delete;
  ~Allocation();

  DeviceState* device;
  VkBuffer buffer = VK_NULL_HANDLE;
  MemoryBlock* block = nullptr;
  VkDeviceSize block_offset = 0;
  VkDeviceSize block_bytes = 0;  ///< taken from the block, >= size_bytes
  VkDeviceSize size_bytes = 0;
  std::byte* host = nullptr;  ///< null: not host visible
  bool host_cached = false;
  VkDeviceAddress address = 0;  ///< 0: the device gives none
  std::string label;
};

/// Device memory in blocks that buffers share. Drivers allow few allocations (4096 is common) and
/// round each up, so small buffers come from common blocks; one above half a block gets its own.
/// A block is returned when its last buffer goes. Host-visible blocks stay mapped.
class Allocator {
 public:
  explicit Allocator(DeviceState& device);
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;
  ~Allocator();

  [[nodiscard]] Result<std::unique_ptr<Allocation>> allocate(VkDeviceSize size_bytes,
                                                             Residency residency,
                                                             std::string_view label);
  void give_back(const Allocation& allocation);

  [[nodiscard]] std::uint64_t allocated_bytes() const { return allocated_bytes_; }
  [[nodiscard]] std::uint64_t peak_bytes() const { return peak_bytes_; }
  /// Of all blocks: what the driver was asked for.
  [[nodiscard]] std::uint64_t reserved_bytes() const { return reserved_bytes_; }
  [[nodiscard]] std::size_t n_blocks() const { return blocks_.size(); }

 private:
  [[nodiscard]] std::vector<std::uint32_t> memory_types(Residency residency,
                                                        std::uint32_t allowed_bits) const;
  [[nodiscard]] Result<MemoryBlock*> place(const VkMemoryRequirements& needs, Residency residency,
                                           Allocation& allocation);
  [[nodiscard]] Result<MemoryBlock*> new_block(VkDeviceSize size_bytes, std::uint32_t memory_type,
                                               VkResult& result);
  [[nodiscard]] Error out_of_memory(const Allocation& allocation, std::string_view cause) const;

  DeviceState& device_;
  VkPhysicalDeviceMemoryProperties memory_{};
  std::list<std::unique_ptr<MemoryBlock>> blocks_;
  std::uint64_t allocated_bytes_ = 0;
  std::uint64_t peak_bytes_ = 0;
  std::uint64_t reserved_bytes_ = 0;
};

}  // namespace preflight::vk
