#pragma once

// What the parts of vk share of a Device. Not for use outside vk.

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/allocator.h"
#include "vk/device.h"
#include "vk/enumerate.h"
#include "vk/error.h"
#include "vk/instance.h"
#include "vk/pipeline_cache.h"

namespace preflight::vk {

struct DeviceState {
  DeviceState(Instance instance_in, PhysicalDevice physical_in);
  DeviceState(const DeviceState&) = delete;
  DeviceState& operator=(const DeviceState&) = delete;
  ~DeviceState();

  /// The layout of set 0 with a binding for each format: a uniform texel buffer, or a storage
  /// buffer where it is VK_FORMAT_UNDEFINED. Made once for each list, so equal layouts mean equal
  /// formats.
  [[nodiscard]] Result<VkDescriptorSetLayout> set_layout(const std::vector<VkFormat>& formats);
  /// Gives an object its label in validation messages; nothing without validation.
  void set_name(VkObjectType type, std::uint64_t handle, std::string_view label) const;
  /// `error` as it is, after noting a lost device.
  [[nodiscard]] Error note(Error error);
  /// Objects may be destroyed: no submission can still be running.
  [[nodiscard]] bool idle() const { return !hung; }

  Instance instance;
  PhysicalDevice physical;
  VkDevice device = VK_NULL_HANDLE;
  VkQueue queue = VK_NULL_HANDLE;
  std::unique_ptr<Allocator> allocator;
  std::unique_ptr<PipelineCache> pipeline_cache;
  std::map<std::vector<VkFormat>, VkDescriptorSetLayout> set_layouts;
  bool pipeline_statistics = false;  ///< asked for, and the driver keeps them
  PFN_vkSetDebugUtilsObjectNameEXT set_object_name = nullptr;
  /// A submission failed; nothing more is submitted.
  bool lost = false;
  /// A submission did not end. It may still be running, so everything it could use is left alone,
  /// memory included, until the process ends: freeing it would be worse than keeping it.
  bool hung = false;
};

}  // namespace preflight::vk
