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
#include "vk/pipeline.h"
#include "vk/pipeline_cache.h"

namespace preflight::vk {

/// Of a binding that is no address.
[[nodiscard]] constexpr VkDescriptorType descriptor_type(BindingKind kind) {
  PREFLIGHT_ASSERT(kind != BindingKind::kAddress);
  return kind == BindingKind::kStorage ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                       : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

/// Where addresses stand in the push constants (BindingKind::kAddress).
inline constexpr std::uint32_t kAddressBytes = sizeof(VkDeviceAddress);
[[nodiscard]] constexpr std::uint32_t address_offset(std::uint32_t push_bytes) {
  return (push_bytes + kAddressBytes - 1) / kAddressBytes * kAddressBytes;
}

struct DeviceState {
  DeviceState(Instance instance_in, PhysicalDevice physical_in);
  DeviceState(const DeviceState&) = delete;
  DeviceState& operator=(const DeviceState&) = delete;
  ~DeviceState();

  /// The layout of set 0 with bindings of these kinds. Made once for each list, so equal layouts
  /// mean equal kinds.
  [[nodiscard]] Result<VkDescriptorSetLayout> set_layout(const std::vector<BindingKind>& kinds);
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
  std::map<std::vector<BindingKind>, VkDescriptorSetLayout> set_layouts;
  bool pipeline_statistics = false;  ///< asked for, and the driver keeps them
  PFN_vkSetDebugUtilsObjectNameEXT set_object_name = nullptr;
  /// A submission failed; nothing more is submitted.
  bool lost = false;
  /// A submission did not end. It may still be running, so everything it could use is left alone,
  /// memory included, until the process ends: freeing it would be worse than keeping it.
  bool hung = false;
};

}  // namespace preflight::vk
