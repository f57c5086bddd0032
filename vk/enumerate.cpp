#include "vk/enumerate.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include <fmt/format.h>

#include "vk/cooperative_matrix.h"
#include "vk/result.h"
#include "vk/system_memory.h"

namespace preflight::vk {
namespace {

constexpr VkMemoryPropertyFlags kHostCoherent =
    VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;

DeviceType device_type(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
      return DeviceType::kDiscrete;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
      return DeviceType::kIntegrated;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
      return DeviceType::kVirtual;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
      return DeviceType::kCpu;
    default:
      return DeviceType::kOther;
  }
}

std::uint32_t largest_device_local_heap(const VkPhysicalDeviceMemoryProperties& memory) {
  std::uint32_t best = 0;
  VkDeviceSize best_bytes = 0;
  for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    const VkMemoryHeap& heap = memory.memoryHeaps[i];
    if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0 && heap.size > best_bytes) {
      best = i;
      best_bytes = heap.size;
    }
  }
  return best;
}

void describe_memory(VkPhysicalDevice handle, DeviceDescription& d) {
  VkPhysicalDeviceMemoryProperties memory{};
  vkGetPhysicalDeviceMemoryProperties(handle, &memory);
  const std::uint32_t main_heap = largest_device_local_heap(memory);
  for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
    const VkMemoryType& type = memory.memoryTypes[i];
    constexpr VkMemoryPropertyFlags kBoth = kHostCoherent | VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    if (type.heapIndex == main_heap && (type.propertyFlags & kBoth) == kBoth) {
      d.unified_memory = true;
    }
  }
  d.shares_system_memory = d.software || d.type == DeviceType::kIntegrated;
  for (std::uint32_t i = 0; i < memory.memoryHeapCount; ++i) {
    // The heaps of an integrated GPU are shares of the same memory, and we use them all.
    if (i == main_heap || d.type == DeviceType::kIntegrated) {
      d.memory_bytes += memory.memoryHeaps[i].size;
    }
  }
}

bool has_extension(VkPhysicalDevice handle, std::string_view wanted) {
  std::uint32_t n = 0;
  if (vkEnumerateDeviceExtensionProperties(handle, nullptr, &n, nullptr) != VK_SUCCESS)
    return false;
  std::vector<VkExtensionProperties> extensions(n);
  const VkResult listed =
      vkEnumerateDeviceExtensionProperties(handle, nullptr, &n, extensions.data());
  if (listed != VK_SUCCESS && listed != VK_INCOMPLETE) return false;
  extensions.resize(n);
  return std::any_of(extensions.begin(), extensions.end(),
                     [&](const VkExtensionProperties& e) { return wanted == e.extensionName; });
}

// A family for compute alone, where there is one, keeps out of the way of the desktop's drawing.
std::optional<std::uint32_t> compute_family(VkPhysicalDevice handle) {
  std::uint32_t n = 0;
  vkGetPhysicalDeviceQueueFamilyProperties(handle, &n, nullptr);
  std::vector<VkQueueFamilyProperties> families(n);
  vkGetPhysicalDeviceQueueFamilyProperties(handle, &n, families.data());
  std::optional<std::uint32_t> any;
  for (std::uint32_t i = 0; i < n; ++i) {
    const VkQueueFlags flags = families[i].queueFlags;
    if ((flags & VK_QUEUE_COMPUTE_BIT) == 0 || families[i].queueCount == 0) continue;
    if ((flags & VK_QUEUE_GRAPHICS_BIT) == 0) return i;
    if (!any) any = i;
  }
  return any;
}

std::string version_text(std::uint32_t version) {
  return fmt::format("{}.{}.{}", VK_API_VERSION_MAJOR(version), VK_API_VERSION_MINOR(version),
                     VK_API_VERSION_PATCH(version));
}

void describe_limits(const VkPhysicalDeviceProperties& p, DeviceDescription& d) {
  const VkPhysicalDeviceLimits& limits = p.limits;
  d.name = p.deviceName;
  d.driver_version = version_text(p.driverVersion);
  d.api_version = p.apiVersion;
  d.vendor_id = p.vendorID;
  d.device_id = p.deviceID;
  d.type = device_type(p.deviceType);
  d.software = d.type == DeviceType::kCpu;
  d.max_workgroup_invocations = limits.maxComputeWorkGroupInvocations;
  d.max_shared_bytes = limits.maxComputeSharedMemorySize;
  d.max_push_constant_bytes = limits.maxPushConstantsSize;
  for (std::size_t i = 0; i < 3; ++i) {
    d.max_workgroup_size[i] = limits.maxComputeWorkGroupSize[i];
    d.max_grid[i] = limits.maxComputeWorkGroupCount[i];
  }
  d.max_storage_buffers =
      std::min({limits.maxPerStageDescriptorStorageBuffers, limits.maxDescriptorSetStorageBuffers,
                limits.maxPerStageResources});
  d.max_storage_buffer_range = limits.maxStorageBufferRange;
  d.min_storage_offset_alignment = limits.minStorageBufferOffsetAlignment;
  d.max_texels = limits.maxTexelBufferElements;
  d.min_texel_offset_alignment = limits.minTexelBufferOffsetAlignment;
}

// The first thing that the base tier needs and the device lacks; empty: nothing.
std::string missing_for_base(const DeviceDescription& d,
                             const VkPhysicalDeviceVulkan11Properties& properties,
                             const VkPhysicalDeviceVulkan12Features& v12,
                             const VkPhysicalDeviceVulkan13Features& v13) {
  if (v12.timelineSemaphore == VK_FALSE) return "has no timeline semaphores";
  if (v13.synchronization2 == VK_FALSE) return "has no synchronization2";
  if (v13.maintenance4 == VK_FALSE) return "has no maintenance4";
  if (v13.subgroupSizeControl == VK_FALSE || v13.computeFullSubgroups == VK_FALSE) {
    return "cannot set the subgroup size";
  }
  if ((properties.subgroupSupportedOperations & kBaseSubgroupOperations) !=
          kBaseSubgroupOperations ||
      (properties.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) == 0) {
    return fmt::format("has subgroup operations {:#x} in compute shaders, {:#x} are needed",
                       properties.subgroupSupportedOperations, kBaseSubgroupOperations);
  }
  if (d.max_workgroup_invocations < kBaseWorkgroupInvocations) {
    return fmt::format("runs {} invocations in a workgroup, {} are needed",
                       d.max_workgroup_invocations, kBaseWorkgroupInvocations);
  }
  if (d.max_shared_bytes < kBaseSharedBytes) {
    return fmt::format("has {} bytes of shared memory in a workgroup, {} are needed",
                       d.max_shared_bytes, kBaseSharedBytes);
  }
  if (d.max_storage_buffers < kBaseStorageBuffers) {
    return fmt::format("binds {} storage buffers at once, {} are needed", d.max_storage_buffers,
                       kBaseStorageBuffers);
  }
  return {};
}

// Everything that a device of Vulkan 1.3 or later can be asked.
void describe_modern(VkInstance instance, VkPhysicalDevice handle, DeviceDescription& d) {
  VkPhysicalDeviceVulkan13Properties p13{};
  p13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_PROPERTIES;
  VkPhysicalDeviceVulkan12Properties p12{};
  p12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
  p12.pNext = &p13;
  VkPhysicalDeviceVulkan11Properties p11{};
  p11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
  p11.pNext = &p12;
  VkPhysicalDeviceProperties2 properties{};
  properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
  properties.pNext = &p11;
  vkGetPhysicalDeviceProperties2(handle, &properties);

  VkPhysicalDeviceVulkan13Features f13{};
  f13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
  VkPhysicalDeviceVulkan12Features f12{};
  f12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  f12.pNext = &f13;
  VkPhysicalDeviceVulkan11Features f11{};
  f11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  f11.pNext = &f12;
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.pNext = &f11;
  vkGetPhysicalDeviceFeatures2(handle, &features);

  d.driver_name = p12.driverName;
  if (p12.driverInfo[0] != '\0') d.driver_version = p12.driverInfo;
  d.software = d.software || p12.driverID == VK_DRIVER_ID_MESA_LLVMPIPE ||
               p12.driverID == VK_DRIVER_ID_GOOGLE_SWIFTSHADER;
  std::memcpy(d.uuid.data(), p11.deviceUUID, d.uuid.size());
  std::memcpy(d.driver_uuid.data(), p11.driverUUID, d.driver_uuid.size());
  d.subgroup_size = p11.subgroupSize;
  d.min_subgroup_size = p13.minSubgroupSize;
  d.max_subgroup_size = p13.maxSubgroupSize;
  d.max_allocation_bytes = std::min(p11.maxMemoryAllocationSize, p13.maxBufferSize);
  d.storage_16bit = f11.storageBuffer16BitAccess == VK_TRUE;
  d.shader_f16 = f12.shaderFloat16 == VK_TRUE;
  d.buffer_addresses = d.software && f12.bufferDeviceAddress == VK_TRUE;
  d.int_dot = f13.shaderIntegerDotProduct == VK_TRUE;
  d.int_dot_accelerated =
      d.int_dot && p13.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
  if (d.int_dot_accelerated) d.best_tier = Tier::kDot;
  if (d.storage_16bit && d.shader_f16) {
    // What their kernels are compiled to declares the Vulkan memory model; under it the atomics of
    // other kernels need its scope of a device.
    // llvmpipe runs these kernels in vectors of 256 bits and crashes in wider ones (26.1).
    if (f12.vulkanMemoryModel == VK_TRUE && f12.vulkanMemoryModelDeviceScope == VK_TRUE &&
        has_extension(handle, "VK_KHR_cooperative_matrix") &&
        !(is_llvmpipe(d) && d.subgroup_size != 8))
      d.coopmat = coopmat_shape(instance, handle);
    d.best_tier = d.coopmat.m != 0 ? Tier::kCoopmat : std::max(d.best_tier, Tier::kF16);
  }
  d.refused = missing_for_base(d, p11, f12, f13);
}

PhysicalDevice describe_device(VkInstance instance, VkPhysicalDevice handle) {
  PhysicalDevice device;
  device.handle = handle;
  DeviceDescription& d = device.description;
  VkPhysicalDeviceProperties properties{};
  vkGetPhysicalDeviceProperties(handle, &properties);
  describe_limits(properties, d);
  std::memcpy(device.pipeline_cache_uuid.data(), properties.pipelineCacheUUID,
              device.pipeline_cache_uuid.size());
  if (d.api_version >= VK_API_VERSION_1_3) {
    describe_modern(instance, handle, d);
  } else {
    d.refused = fmt::format("offers Vulkan {}, 1.3 is needed", version_text(d.api_version));
  }
  if (const auto family = compute_family(handle)) {
    device.queue_family = *family;
  } else if (d.refused.empty()) {
    d.refused = "has no queue for compute";
  }
  device.memory_budget = has_extension(handle, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
  device.pipeline_statistics =
      has_extension(handle, VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
  describe_memory(handle, d);
  d.budget_bytes = query_free_bytes(device, 0);
  return device;
}

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// Software is last whatever type it calls itself.
DeviceType rank(const DeviceDescription& d) { return d.software ? DeviceType::kCpu : d.type; }

bool better(const DeviceDescription& a, const DeviceDescription& b) {
  if (rank(a) != rank(b)) return rank(a) < rank(b);
  if (a.best_tier != b.best_tier) return a.best_tier > b.best_tier;
  return a.memory_bytes > b.memory_bytes;
}

// Why `a` and not `b`, of two usable devices.
std::string why_before(const DeviceDescription& a, const DeviceDescription& b) {
  if (rank(a) != rank(b)) {
    return fmt::format("{} comes before {}", name(rank(a)), name(rank(b)));
  }
  if (a.best_tier != b.best_tier) {
    return fmt::format("tier {} comes before {}", name(a.best_tier), name(b.best_tier));
  }
  return a.memory_bytes > b.memory_bytes ? "more memory comes first" : "listed first";
}

}  // namespace

std::string_view name(Tier tier) {
  switch (tier) {
    case Tier::kBase:
      return "base";
    case Tier::kF16:
      return "f16";
    case Tier::kDot:
      return "dot";
    case Tier::kCoopmat:
      return "coopmat";
  }
  return "unknown";
}

std::optional<Tier> tier_named(std::string_view wanted) {
  for (const Tier tier : {Tier::kBase, Tier::kF16, Tier::kDot, Tier::kCoopmat})
    if (name(tier) == wanted) return tier;
  return std::nullopt;
}

std::string_view name(DeviceType type) {
  switch (type) {
    case DeviceType::kDiscrete:
      return "discrete";
    case DeviceType::kIntegrated:
      return "integrated";
    case DeviceType::kVirtual:
      return "virtual";
    case DeviceType::kOther:
      return "other";
    case DeviceType::kCpu:
      return "cpu";
  }
  return "unknown";
}

Result<std::vector<PhysicalDevice>> enumerate(VkInstance instance) {
  std::uint32_t n = 0;
  PREFLIGHT_TRY_VOID(
      check(vkEnumeratePhysicalDevices(instance, &n, nullptr), "counting Vulkan devices"));
  std::vector<VkPhysicalDevice> handles(n);
  const VkResult listed = vkEnumeratePhysicalDevices(instance, &n, handles.data());
  // A device that appeared in between is left for the next time.
  if (listed != VK_INCOMPLETE) PREFLIGHT_TRY_VOID(check(listed, "listing Vulkan devices"));
  handles.resize(n);
  std::vector<PhysicalDevice> devices;
  devices.reserve(n);
  for (const VkPhysicalDevice handle : handles)
    devices.push_back(describe_device(instance, handle));
  return devices;
}

void choose(std::vector<DeviceDescription*> devices, const std::string& name_contains) {
  const std::string wanted = lower(name_contains);
  const auto named = [&](const DeviceDescription& d) {
    return lower(d.name).find(wanted) != std::string::npos;
  };
  DeviceDescription* best = nullptr;
  const DeviceDescription* second = nullptr;
  std::size_t n_candidates = 0;
  for (DeviceDescription* d : devices) {
    if (!d->refused.empty() || !named(*d)) continue;
    ++n_candidates;
    if (best == nullptr || better(*d, *best)) {
      second = best;
      best = d;
    } else if (second == nullptr || better(*d, *second)) {
      second = d;
    }
  }
  for (DeviceDescription* d : devices) {
    d->chosen = d == best;
    if (!d->refused.empty()) {
      d->reason = d->refused;
    } else if (!named(*d)) {
      d->reason = fmt::format("its name does not contain \"{}\"", name_contains);
    } else if (d != best) {
      d->reason = fmt::format("\"{}\" is taken: {}", best->name, why_before(*best, *d));
    } else if (n_candidates > 1) {
      d->reason =
          fmt::format("best of {} usable devices: {}", n_candidates, why_before(*best, *second));
    } else if (!wanted.empty()) {
      d->reason = fmt::format("the only usable device with \"{}\" in its name", name_contains);
    } else {
      d->reason = "the only usable device";
    }
  }
}

VkDeviceSize query_free_bytes(const PhysicalDevice& device, VkDeviceSize allocated_bytes) {
  const DeviceDescription& d = device.description;
  const auto system = d.shares_system_memory ? available_system_memory_bytes() : std::nullopt;
  if (d.software && system) return *system;

  VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
  budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
  VkPhysicalDeviceMemoryProperties2 memory{};
  memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
  VkDeviceSize free = d.memory_bytes - std::min(d.memory_bytes, allocated_bytes);
  if (device.memory_budget && d.api_version >= VK_API_VERSION_1_1) {
    memory.pNext = &budget;
    vkGetPhysicalDeviceMemoryProperties2(device.handle, &memory);
    const std::uint32_t main_heap = largest_device_local_heap(memory.memoryProperties);
    free = 0;
    for (std::uint32_t i = 0; i < memory.memoryProperties.memoryHeapCount; ++i) {
      if (i != main_heap && d.type != DeviceType::kIntegrated) continue;
      free += budget.heapBudget[i] - std::min(budget.heapBudget[i], budget.heapUsage[i]);
    }
  }
  return system ? std::min<VkDeviceSize>(free, *system) : free;
}

}  // namespace preflight::vk
