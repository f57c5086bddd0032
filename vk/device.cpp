#include "vk/device.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "vk/device_state.h"
#include "vk/result.h"
#include "vk/wide_vectors.h"

namespace preflight::vk {
namespace {

struct Found {
  Instance instance;
  std::vector<PhysicalDevice> devices;
};

Result<Found> find_once(const DeviceOptions& options) {
  PREFLIGHT_TRY(auto instance, Instance::create(options.validation));
  PREFLIGHT_TRY(auto devices, enumerate(instance.handle()));
  std::vector<DeviceDescription*> descriptions;
  descriptions.reserve(devices.size());
  for (PhysicalDevice& device : devices) descriptions.push_back(&device.description);
  choose(descriptions, options.name_contains);
  return Found{std::move(instance), std::move(devices)};
}

Result<Found> find_devices(const DeviceOptions& options) {
  PREFLIGHT_TRY(Found found, find_once(options));
  for (const PhysicalDevice& device : found.devices) {
    // Who names the width of a CPU driver's vectors ("256 bits") gets it.
    if (!device.description.chosen || names_narrow_vectors(options.name_contains)) continue;
    if (!ask_for_wide_vectors(device.description)) continue;
    { const Found ended = std::move(found); }
    return find_once(options);
  }
  return found;
}

// Nothing was chosen: says of every device why not.
Error nothing_chosen(const std::vector<PhysicalDevice>& devices, const DeviceOptions& options) {
  std::string each;
  for (const PhysicalDevice& device : devices) {
    const DeviceDescription& d = device.description;
    each += fmt::format("{}\"{}\" {}", each.empty() ? "" : ", ", d.name,
                        d.refused.empty() ? "(usable)" : "(" + d.refused + ")");
  }
  if (devices.empty()) {
    return {ErrorCode::kNotFound, "the Vulkan drivers of this machine offer no device"};
  }
  if (!options.name_contains.empty()) {
    return {ErrorCode::kNotFound, fmt::format("no usable Vulkan device has \"{}\" in its name; "
                                              "there are: {}",
                                              options.name_contains, each)};
  }
  return {ErrorCode::kUnsupported, fmt::format("no usable Vulkan device; there are: {}", each)};
}

Result<VkDevice> create_device(const PhysicalDevice& physical, bool pipeline_statistics) {
  const DeviceDescription& d = physical.description;
  // robustBufferAccess stays off: it costs a comparison with every load, host code checks every
  // size before it records, and on drivers that do not check by themselves a wrong index in a test
  // ends the process instead of reading zeros in silence.
  VkPhysicalDeviceVulkan13Features f13{};
  f13.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES;
  f13.synchronization2 = VK_TRUE;
  f13.maintenance4 = VK_TRUE;  // workgroup sizes by specialization constant (LocalSizeId)
  f13.subgroupSizeControl = VK_TRUE;
  f13.computeFullSubgroups = VK_TRUE;
  f13.shaderIntegerDotProduct = d.int_dot ? VK_TRUE : VK_FALSE;
  VkPhysicalDeviceVulkan12Features f12{};
  f12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
  f12.pNext = &f13;
  f12.timelineSemaphore = VK_TRUE;
  f12.bufferDeviceAddress = d.buffer_addresses ? VK_TRUE : VK_FALSE;
  f12.shaderFloat16 = d.shader_f16 ? VK_TRUE : VK_FALSE;
  VkPhysicalDeviceVulkan11Features f11{};
  f11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
  f11.pNext = &f12;
  f11.storageBuffer16BitAccess = d.storage_16bit ? VK_TRUE : VK_FALSE;

  const float priority = 1.0f;
  VkDeviceQueueCreateInfo queue{};
  queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
  queue.queueFamilyIndex = physical.queue_family;
  queue.queueCount = 1;
  queue.pQueuePriorities = &priority;

  std::vector<const char*> extensions;
  if (physical.memory_budget) extensions.push_back(VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    // Each of the chained structures goes in front of those before it.
#ifdef VK_KHR_cooperative_matrix
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR coopmat{};
  coopmat.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
  coopmat.cooperativeMatrix = VK_TRUE;
  if (d.coopmat.m != 0) {
    extensions.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    coopmat.pNext = f13.pNext;
    f13.pNext = &coopmat;
    f12.vulkanMemoryModel = VK_TRUE;
    f12.vulkanMemoryModelDeviceScope = VK_TRUE;
  }
#endif
  VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executables{};
  executables.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR;
  executables.pipelineExecutableInfo = VK_TRUE;
  if (pipeline_statistics) {
    extensions.push_back(VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME);
    executables.pNext = f13.pNext;
    f13.pNext = &executables;
  }
  VkDeviceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
  info.pNext = &f11;
  info.queueCreateInfoCount = 1;
  info.pQueueCreateInfos = &queue;
  info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
  info.ppEnabledExtensionNames = extensions.data();
  VkDevice device = VK_NULL_HANDLE;
  PREFLIGHT_TRY_VOID(check(vkCreateDevice(physical.handle, &info, nullptr, &device),
                           fmt::format("opening \"{}\"", d.name)));
  return device;
}

}  // namespace

DeviceState::DeviceState(Instance instance_in, PhysicalDevice physical_in)
    : instance(std::move(instance_in)), physical(std::move(physical_in)) {}

DeviceState::~DeviceState() {
  if (hung) {
    // What it may still use stays: the objects, the instance and the memory blocks themselves.
    static_cast<void>(allocator.release());
    instance.abandon();
    return;
  }
  if (device == VK_NULL_HANDLE) return;
  // Every submission was waited for; a lost device says so here again, and nothing follows from it.
  static_cast<void>(vkDeviceWaitIdle(device));
  if (pipeline_cache != nullptr) {
    if (!lost) {
      const auto saved = pipeline_cache->save();
      if (!saved.has_value()) {
        fmt::print(stderr, "pipeline cache not kept: {}\n", saved.error().message);
      }
    }
    pipeline_cache->destroy();
  }
  for (const auto& [kinds, layout] : set_layouts) {
    vkDestroyDescriptorSetLayout(device, layout, nullptr);
  }
  allocator.reset();
  vkDestroyDevice(device, nullptr);
}

Result<VkDescriptorSetLayout> DeviceState::set_layout(const std::vector<BindingKind>& kinds) {
  if (const auto found = set_layouts.find(kinds); found != set_layouts.end()) {
    return found->second;
  }
  std::vector<VkDescriptorSetLayoutBinding> bindings;
  for (std::uint32_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] == BindingKind::kAddress) continue;
    VkDescriptorSetLayoutBinding& binding = bindings.emplace_back();
    binding.binding = i;
    binding.descriptorType = descriptor_type(kinds[i]);
    binding.descriptorCount = 1;
    binding.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT;
  }
  VkDescriptorSetLayoutCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
  info.bindingCount = static_cast<std::uint32_t>(bindings.size());
  info.pBindings = bindings.data();
  VkDescriptorSetLayout layout = VK_NULL_HANDLE;
  PREFLIGHT_TRY_VOID(check(vkCreateDescriptorSetLayout(device, &info, nullptr, &layout),
                           fmt::format("making a layout of {} bindings", bindings.size())));
  set_layouts.emplace(kinds, layout);
  return layout;
}

void DeviceState::set_name(VkObjectType type, std::uint64_t handle, std::string_view label) const {
  if (set_object_name == nullptr) return;
  const std::string text(label);
  VkDebugUtilsObjectNameInfoEXT info{};
  info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_OBJECT_NAME_INFO_EXT;
  info.objectType = type;
  info.objectHandle = handle;
  info.pObjectName = text.c_str();
  // A name is a help for readers of messages; without it they see the handle.
  static_cast<void>(set_object_name(device, &info));
}

Error DeviceState::note(Error error) {
  if (error.code == ErrorCode::kDeviceLost) lost = true;
  return error;
}

bool is_llvmpipe(const DeviceDescription& device) {
  return device.software && device.driver_name == "llvmpipe";
}

std::uint32_t mesa_version(const DeviceDescription& device) {
  constexpr std::string_view kMesa = "Mesa ";
  const std::string_view text = device.driver_version;
  const std::size_t at = text.find(kMesa);
  if (at == std::string_view::npos) return 0;
  std::uint32_t version = 0;
  std::from_chars(text.data() + at + kMesa.size(), text.data() + text.size(), version);
  return version;
}

Result<std::vector<DeviceDescription>> list_devices(const DeviceOptions& options) {
  PREFLIGHT_TRY(const auto found, find_devices(options));
  std::vector<DeviceDescription> descriptions;
  descriptions.reserve(found.devices.size());
  for (const PhysicalDevice& device : found.devices) descriptions.push_back(device.description);
  return descriptions;
}

Result<Device> Device::create(const DeviceOptions& options) {
  PREFLIGHT_TRY(auto found, find_devices(options));
  PhysicalDevice* chosen = nullptr;
  for (PhysicalDevice& device : found.devices) {
    if (device.description.chosen) chosen = &device;
  }
  if (chosen == nullptr) return tl::unexpected(nothing_chosen(found.devices, options));

  if (options.most_binding_bytes != 0) {
    VkDeviceSize& range = chosen->description.max_storage_buffer_range;
    range = std::min(range, options.most_binding_bytes);
  }
  auto state = std::make_unique<DeviceState>(std::move(found.instance), std::move(*chosen));
  state->pipeline_statistics = options.pipeline_statistics && state->physical.pipeline_statistics;
  PREFLIGHT_TRY(state->device, create_device(state->physical, state->pipeline_statistics));
  vkGetDeviceQueue(state->device, state->physical.queue_family, 0, &state->queue);
  if (state->instance.validating()) {
    state->set_object_name = reinterpret_cast<PFN_vkSetDebugUtilsObjectNameEXT>(
        vkGetDeviceProcAddr(state->device, "vkSetDebugUtilsObjectNameEXT"));
  }
  state->allocator = std::make_unique<Allocator>(*state);
  PREFLIGHT_TRY(state->pipeline_cache,
                PipelineCache::create(state->device, state->physical, options.cache_dir));
  return Device(std::move(state));
}

Device::Device(std::unique_ptr<DeviceState> state) : state_(std::move(state)) {}
Device::Device(Device&& other) noexcept = default;
Device& Device::operator=(Device&& other) noexcept = default;
Device::~Device() = default;

const DeviceDescription& Device::description() const { return state_->physical.description; }
VkDevice Device::handle() const { return state_->device; }
VkQueue Device::queue() const { return state_->queue; }
std::uint32_t Device::queue_family() const { return state_->physical.queue_family; }
std::uint64_t Device::allocated_bytes() const { return state_->allocator->allocated_bytes(); }
std::uint64_t Device::peak_allocated_bytes() const { return state_->allocator->peak_bytes(); }

std::uint64_t Device::reserved_bytes() const { return state_->allocator->reserved_bytes(); }

VkDeviceSize Device::free_bytes() const {
  return query_free_bytes(state_->physical, allocated_bytes());
}

std::uint64_t Device::validation_messages() const {
  const ValidationLog* log = state_->instance.log();
  return log != nullptr ? log->n_messages.load() : 0;
}

std::string Device::first_validation_message() const {
  ValidationLog* log = state_->instance.log();
  if (log == nullptr) return {};
  const std::lock_guard lock(log->mutex);
  return log->first;
}

bool Device::lost() const { return state_->lost; }
Result<void> Device::save_pipeline_cache() const { return state_->pipeline_cache->save(); }

std::filesystem::path Device::pipeline_cache_file() const { return state_->pipeline_cache->file(); }

bool Device::pipeline_cache_loaded() const { return state_->pipeline_cache->loaded(); }

}  // namespace preflight::vk
