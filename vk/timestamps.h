#pragma once

#include <cstdint>

#include <vulkan/vulkan.h>

#include "vk/commands.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

/// Marks in command lists at which the device notes its own time. Move-only; the Device outlives
/// it, and it outlives the lists that name it.
class Timestamps {
 public:
  /// Errors: kUnsupported where the device's queue keeps no time.
  [[nodiscard]] static Result<Timestamps> create(Device& device, std::uint32_t n_marks);
  Timestamps(Timestamps&& other) noexcept;
  Timestamps& operator=(Timestamps&& other) noexcept;
  ~Timestamps();

  /// Forgets all marks; recorded before the first mark of a submission.
  void reset(const CommandList& list) const;
  /// Noted when everything recorded before it has ended.
  void mark(const CommandList& list, std::uint32_t ix) const;
  /// Between two marks of a submission that has ended.
  [[nodiscard]] Result<double> ms_between(std::uint32_t from, std::uint32_t to) const;

 private:
  Timestamps() = default;
  void release();

  DeviceState* device_ = nullptr;
  VkQueryPool pool_ = VK_NULL_HANDLE;
  std::uint32_t n_marks_ = 0;
  double ns_per_tick_ = 0;
  std::uint64_t valid_ticks_ = 0;  // the counter wraps here: a mask of the bits that count
};

}  // namespace preflight::vk
