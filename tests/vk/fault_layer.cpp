// A Vulkan layer that makes the driver below it fail as real ones do. PREFLIGHT_FAULT in the
// environment says how, asked anew with every call:
//   undone  submissions report their end without having run
//   lost    submissions fail with VK_ERROR_DEVICE_LOST
//   hang    waits for a submission never see its end
//   memory  allocations of device memory fail
// It keeps the functions of the instance and the device made last: enough for one at a time.

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <vector>

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

namespace {

PFN_vkGetInstanceProcAddr next_instance_proc = nullptr;
PFN_vkGetDeviceProcAddr next_device_proc = nullptr;
VkInstance the_instance = VK_NULL_HANDLE;
VkDevice the_device = VK_NULL_HANDLE;

bool fault_is(std::string_view kind) {
  const char* fault = std::getenv("PREFLIGHT_FAULT");
  return fault != nullptr && kind == fault;
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(next_device_proc(the_device, name));
}

// The loader's link to the layer below, in the chain of a create info.
template <class LinkInfo>
LinkInfo* find_link(const void* chain, VkStructureType type) {
  for (auto* info = static_cast<VkBaseInStructure*>(const_cast<void*>(chain)); info != nullptr;
       info = const_cast<VkBaseInStructure*>(info->pNext)) {
    auto* link = reinterpret_cast<LinkInfo*>(info);
    if (info->sType == type && link->function == VK_LAYER_LINK_INFO) return link;
  }
  return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo* info,
                                               const VkAllocationCallbacks* allocator,
                                               VkInstance* instance) {
  auto* link = find_link<VkLayerInstanceCreateInfo>(info->pNext,
                                                    VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  next_instance_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create = reinterpret_cast<PFN_vkCreateInstance>(
      next_instance_proc(VK_NULL_HANDLE, "vkCreateInstance"));
  const VkResult result = create(info, allocator, instance);
  if (result == VK_SUCCESS) the_instance = *instance;
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                             const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* allocator,
                                             VkDevice* device) {
  auto* link =
      find_link<VkLayerDeviceCreateInfo>(info->pNext, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
  if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
  next_device_proc = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  const auto next_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  link->u.pLayerInfo = link->u.pLayerInfo->pNext;
  const auto create =
      reinterpret_cast<PFN_vkCreateDevice>(next_proc(the_instance, "vkCreateDevice"));
  const VkResult result = create(physical, info, allocator, device);
  if (result == VK_SUCCESS) the_device = *device;
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL queue_submit2(VkQueue queue, std::uint32_t n,
                                             const VkSubmitInfo2* submits, VkFence fence) {
  if (fault_is("lost")) return VK_ERROR_DEVICE_LOST;
  std::vector<VkSubmitInfo2> passed(submits, submits + n);
  if (fault_is("undone")) {
    for (VkSubmitInfo2& submit : passed) submit.commandBufferInfoCount = 0;
  }
  return next<PFN_vkQueueSubmit2>("vkQueueSubmit2")(queue, n, passed.data(), fence);
}

VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info,
                                               std::uint64_t timeout_ns) {
  if (fault_is("hang")) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(timeout_ns));
    return VK_TIMEOUT;
  }
  return next<PFN_vkWaitSemaphores>("vkWaitSemaphores")(device, info, timeout_ns);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info,
                                               const VkAllocationCallbacks* allocator,
                                               VkDeviceMemory* memory) {
  if (fault_is("memory")) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
  return next<PFN_vkAllocateMemory>("vkAllocateMemory")(device, info, allocator, memory);
}

PFN_vkVoidFunction VKAPI_CALL get_device_proc(VkDevice device, const char* name);
PFN_vkVoidFunction VKAPI_CALL get_instance_proc(VkInstance instance, const char* name);

PFN_vkVoidFunction ours(std::string_view name) {
  const auto as_void = [](auto* function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
  };
  if (name == "vkCreateInstance") return as_void(create_instance);
  if (name == "vkCreateDevice") return as_void(create_device);
  if (name == "vkQueueSubmit2") return as_void(queue_submit2);
  if (name == "vkWaitSemaphores") return as_void(wait_semaphores);
  if (name == "vkAllocateMemory") return as_void(allocate_memory);
  if (name == "vkGetInstanceProcAddr") return as_void(get_instance_proc);
  if (name == "vkGetDeviceProcAddr") return as_void(get_device_proc);
  return nullptr;
}

PFN_vkVoidFunction VKAPI_CALL get_device_proc(VkDevice device, const char* name) {
  if (const auto function = ours(name)) return function;
  return next_device_proc(device, name);
}

PFN_vkVoidFunction VKAPI_CALL get_instance_proc(VkInstance instance, const char* name) {
  if (const auto function = ours(name)) return function;
  return next_instance_proc != nullptr ? next_instance_proc(instance, name) : nullptr;
}

}  // namespace

extern "C" VK_LAYER_EXPORT VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* negotiation) {
  if (negotiation->loaderLayerInterfaceVersion < 2) return VK_ERROR_INITIALIZATION_FAILED;
  negotiation->loaderLayerInterfaceVersion = 2;
  negotiation->pfnGetInstanceProcAddr = get_instance_proc;
  negotiation->pfnGetDeviceProcAddr = get_device_proc;
  negotiation->pfnGetPhysicalDeviceProcAddr = nullptr;
  return VK_SUCCESS;
}
