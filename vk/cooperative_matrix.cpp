#include "vk/cooperative_matrix.h"

#include <vector>

namespace preflight::vk {

#ifdef VK_KHR_cooperative_matrix

namespace {

bool is_side(std::uint32_t n) { return n == 8 || n == 16 || n == 32; }

bool fits(const VkCooperativeMatrixPropertiesKHR& p) {
  return p.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && p.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
         p.CType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
         p.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR && p.scope == VK_SCOPE_SUBGROUP_KHR &&
         is_side(p.MSize) && is_side(p.NSize) && is_side(p.KSize);
}

}  // namespace

CoopmatShape coopmat_shape(VkInstance instance, VkPhysicalDevice device) {
  const auto list = reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
      vkGetInstanceProcAddr(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
  if (list == nullptr) return {};
  VkPhysicalDeviceCooperativeMatrixFeaturesKHR feature{};
  feature.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
  VkPhysicalDeviceFeatures2 features{};
  features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
  features.pNext = &feature;
  vkGetPhysicalDeviceFeatures2(device, &features);
  std::uint32_t n = 0;
  if (feature.cooperativeMatrix == VK_FALSE || list(device, &n, nullptr) != VK_SUCCESS) return {};
  VkCooperativeMatrixPropertiesKHR empty{};
  empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
  std::vector<VkCooperativeMatrixPropertiesKHR> offered(n, empty);
  const VkResult listed = list(device, &n, offered.data());
  if (listed != VK_SUCCESS && listed != VK_INCOMPLETE) return {};
  offered.resize(n);

  CoopmatShape best;
  for (const VkCooperativeMatrixPropertiesKHR& p : offered)
    if (fits(p) && p.MSize * p.NSize * p.KSize > best.m * best.n * best.k)
      best = {p.MSize, p.NSize, p.KSize};
  return best;
}

#else

CoopmatShape coopmat_shape(VkInstance /*instance*/, VkPhysicalDevice /*device*/) { return {}; }

#endif

}  // namespace preflight::vk
