#pragma once

#include <cstddef>
#include <cstdint>
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
  /// A stretch of the target: for each unit written it takes `unit_bytes` more, from `offset` on.
  struct Plane {
    VkDeviceSize offset = 0;
    VkDeviceSize unit_bytes = 0;
  };
  /// Writes units [first_unit, first_unit + n) of every plane; `pieces[i]` holds the n units of
  /// plane i and is written in full, without being read.
  using Fill = std::function<Result<void>(std::uint64_t first_unit, std::uint64_t n_units,
                                          std::span<const std::span<std::byte>> pieces)>;
  static constexpr std::size_t kMaxPlanes = 4;

  /// Staging memory of reads, where the host does not see the source: logits come back, and little
  /// else.
  static constexpr VkDeviceSize kReadbackBytes = 4u << 20;

  /// `ring_bytes` of staging memory for writes. It and that of reads are made on the first use that
  /// needs them. Errors: kOutOfMemory.
  [[nodiscard]] static Result<Uploader> create(Device& device, VkDeviceSize ring_bytes = 64u << 20,
                                               UploadPath path = UploadPath::kDirectWhereVisible);
  Uploader(Uploader&& other) noexcept;
  Uploader& operator=(Uploader&& other) noexcept;
  ~Uploader();

  /// Fills `n_units` units of each plane of `target`, asking `fill` for as many at once as half of
  /// the ring holds, in ascending order. An error of `fill` ends the write and is returned; the
  /// target's contents are then undefined. Not while a submission uses the target.
  /// Errors: kInternal (out of bounds, a unit larger than half of the ring, no plane or more than
  /// kMaxPlanes), kDeviceLost.
  [[nodiscard]] Result<void> write(Buffer& target, std::span<const Plane> planes,
                                   std::uint64_t n_units, const Fill& fill);
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
