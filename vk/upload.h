#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include <vulkan/vulkan.h>

#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

struct UploaderState;

enum class UploadPath {
  kDirectWhereVisible,  ///< straight into the buffer where the host sees it, else through the ring
  kStaged,              ///< always through the ring, as on a card
};

/// Brings bytes to and from Buffers. Where the buffer is host visible the bytes go straight there;
/// else through a ring of staging memory, the next piece being filled while the last one is copied.
/// Every call returns when its bytes have arrived. The Device outlives it.
class Uploader {
 public:
  /// Writes the bytes of the destination's piece that begins at `offset` (counted from the write's
  /// own begin) into `piece`, all of them, in order and without reading them.
  using Fill = std::function<Result<void>(VkDeviceSize offset, std::span<std::byte> piece)>;

  /// `ring_bytes` of staging memory, made on the first use that needs it. Errors: kOutOfMemory.
  [[nodiscard]] static Result<Uploader> create(Device& device, VkDeviceSize ring_bytes = 64u << 20,
                                               UploadPath path = UploadPath::kDirectWhereVisible);
  Uploader(Uploader&& other) noexcept;
  Uploader& operator=(Uploader&& other) noexcept;
  ~Uploader();

  /// Fills `size` bytes of `target` from `offset`, asking `fill` for pieces in ascending order,
  /// each but the last a multiple of `piece_alignment` bytes. An error of `fill` ends the write and
  /// is returned; the target's contents are then undefined. Not while a submission uses the target.
  /// Errors: kInternal (out of bounds, alignment above half of the ring), kDeviceLost.
  [[nodiscard]] Result<void> write(Buffer& target, VkDeviceSize offset, VkDeviceSize size,
                                   const Fill& fill, VkDeviceSize piece_alignment = 1);
  [[nodiscard]] Result<void> write(Buffer& target, VkDeviceSize offset,
                                   std::span<const std::byte> bytes);
  /// Reads bytes.size() bytes of `source` from `offset`: the state after the last finished
  /// submission.
  [[nodiscard]] Result<void> read(const Buffer& source, VkDeviceSize offset,
                                  std::span<std::byte> bytes);

 private:
  explicit Uploader(std::unique_ptr<UploaderState> state);
  std::unique_ptr<UploaderState> state_;
};

}  // namespace preflight::vk
