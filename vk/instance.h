#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include <vulkan/vulkan.h>

#include "vk/error.h"

namespace preflight::vk {

/// What the validation layer said. Its callback may come from any thread that calls Vulkan.
struct ValidationLog {
  std::atomic<std::uint64_t> n_messages = 0;
  std::mutex mutex;
  std::string first;  // guarded by mutex
};

/// The VkInstance, with the validation layer and its messenger where asked. Move-only.
class Instance {
 public:
  /// `validation` or PREFLIGHT_VALIDATION=1 switches the validation layer on, with checks of
  /// synchronisation. Errors: kNotFound (no driver; the layer is asked for and not installed).
  [[nodiscard]] static Result<Instance> create(bool validation);
  Instance(Instance&& other) noexcept;
  Instance& operator=(Instance&& other) noexcept;
  ~Instance();

  [[nodiscard]] VkInstance handle() const { return handle_; }
  [[nodiscard]] bool validating() const { return log_ != nullptr; }
  [[nodiscard]] ValidationLog* log() const { return log_.get(); }  ///< null without validation
  /// Lets go of everything without destroying it: a device that hangs may still use it.
  void abandon();

 private:
  Instance() = default;
  void release();

  VkInstance handle_ = VK_NULL_HANDLE;
  VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
  std::unique_ptr<ValidationLog> log_;
};

}  // namespace preflight::vk
