#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <vulkan/vulkan.h>

#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

enum class Residency {
  kDevice,    ///< the device's own memory; host visible only where memory is unified
  kUpload,    ///< host memory that the host writes and the device reads
  kReadback,  ///< host memory that the device writes and the host reads
};

struct Allocation;

/// One VkBuffer bound to its share of a memory block; usable as storage and texel buffer, by its
/// address, as source and target of copies and as source of indirect grids. Move-only. The Device
/// outlives it, and no submission that names it is under way when it is destroyed (Submitter::run
/// waits).
class Buffer {
 public:
  /// `size_bytes` > 0; `label` appears in errors and validation messages. Contents are undefined.
  /// Errors: kLimit (larger than one allocation may be), kOutOfMemory, naming the label, the
  /// request and what is still free.
  [[nodiscard]] static Result<Buffer> create(Device& device, VkDeviceSize size_bytes,
                                             Residency residency, std::string_view label);
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();

  [[nodiscard]] VkBuffer handle() const;
  [[nodiscard]] VkDeviceSize size_bytes() const;
  [[nodiscard]] const std::string& label() const;
  /// For BindingKind::kAddress; 0 without DeviceDescription::buffer_addresses.
  [[nodiscard]] VkDeviceAddress address() const;

  /// The whole buffer as host memory, always coherent: what is written before a submission is seen
  /// by it, and what Submitter::run waited for is seen here. Empty where it is not host visible.
  [[nodiscard]] std::span<std::byte> host_view() const;
  /// host_view() is ordinary cached memory: fit for reading. False: write in order, do not read.
  [[nodiscard]] bool host_cached() const;

 private:
  explicit Buffer(std::unique_ptr<Allocation> allocation);
  std::unique_ptr<Allocation> allocation_;
};

/// A part of a Buffer, borrowed.
struct Slice {
  const Buffer* buffer = nullptr;
  VkDeviceSize offset_bytes = 0;
  VkDeviceSize size_bytes = 0;
};

/// The whole buffer.
[[nodiscard]] inline Slice whole(const Buffer& buffer) { return {&buffer, 0, buffer.size_bytes()}; }

/// Nothing when the slice lies in its buffer and is not empty, else kInternal with both sizes.
[[nodiscard]] Result<void> check_bounds(const Slice& slice, std::string_view use);

}  // namespace preflight::vk
