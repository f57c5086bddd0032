#include "vk/instance.h"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "vk/result.h"

namespace preflight::vk {
namespace {

constexpr const char* kValidationLayer = "VK_LAYER_KHRONOS_validation";

VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT /*severity*/,
                                          VkDebugUtilsMessageTypeFlagsEXT /*types*/,
                                          const VkDebugUtilsMessengerCallbackDataEXT* data,
                                          void* user) {
  auto* log = static_cast<ValidationLog*>(user);
  const char* text = data->pMessage != nullptr ? data->pMessage : "(no text)";
  {
    const std::lock_guard lock(log->mutex);
    if (log->n_messages == 0) log->first = text;
    ++log->n_messages;
  }
  fmt::print(stderr, "validation: {}\n", text);
  return VK_FALSE;
}

Result<bool> layer_is_installed(std::string_view wanted) {
  std::uint32_t n = 0;
  PREFLIGHT_TRY_VOID(check(vkEnumerateInstanceLayerProperties(&n, nullptr), "counting layers"));
  std::vector<VkLayerProperties> layers(n);
  const VkResult listed = vkEnumerateInstanceLayerProperties(&n, layers.data());
  if (listed != VK_INCOMPLETE) PREFLIGHT_TRY_VOID(check(listed, "listing layers"));
  layers.resize(n);
  for (const VkLayerProperties& layer : layers) {
    if (wanted == layer.layerName) return true;
  }
  return false;
}

bool environment_asks_for_validation() {
  const char* value = std::getenv("PREFLIGHT_VALIDATION");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

}  // namespace

Result<Instance> Instance::create(bool validation) {
  validation = validation || environment_asks_for_validation();
  Instance instance;

  VkApplicationInfo application{};
  application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
  application.pApplicationName = "preflight";
  application.apiVersion = VK_API_VERSION_1_3;

  VkInstanceCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
  info.pApplicationInfo = &application;

  constexpr std::array<VkValidationFeatureEnableEXT, 1> kEnabled = {
      VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  VkValidationFeaturesEXT features{};
  VkDebugUtilsMessengerCreateInfoEXT messenger{};
  const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
  if (validation) {
    PREFLIGHT_TRY(const bool installed, layer_is_installed(kValidationLayer));
    if (!installed) {
      return fail(ErrorCode::kNotFound,
                  fmt::format("validation is asked for, but {} is not installed "
                              "(package vulkan-validationlayers)",
                              kValidationLayer));
    }
    instance.log_ = std::make_unique<ValidationLog>();
    messenger.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                                VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    messenger.pfnUserCallback = on_message;
    messenger.pUserData = instance.log_.get();
    // In the chain of the instance the messenger also hears creation and destruction.
    features.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT;
    features.pNext = &messenger;
    features.enabledValidationFeatureCount = static_cast<std::uint32_t>(kEnabled.size());
    features.pEnabledValidationFeatures = kEnabled.data();
    info.pNext = &features;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = &kValidationLayer;
    info.enabledExtensionCount = 1;
    info.ppEnabledExtensionNames = &extension;
  }

  const VkResult created = vkCreateInstance(&info, nullptr, &instance.handle_);
  if (created == VK_ERROR_INCOMPATIBLE_DRIVER) {
    instance.handle_ = VK_NULL_HANDLE;
    return fail(ErrorCode::kNotFound,
                "no Vulkan driver is installed or none can be used; the package "
                "mesa-vulkan-drivers brings drivers for most GPUs and one for the CPU");
  }
  if (created != VK_SUCCESS) {
    instance.handle_ = VK_NULL_HANDLE;
    return tl::unexpected(vulkan_error(created, "creating the Vulkan instance"));
  }
  if (validation) {
    const auto create_messenger = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
        vkGetInstanceProcAddr(instance.handle_, "vkCreateDebugUtilsMessengerEXT"));
    if (create_messenger == nullptr) {
      return fail(ErrorCode::kUnsupported, "the Vulkan loader has no VK_EXT_debug_utils");
    }
    PREFLIGHT_TRY_VOID(
        check(create_messenger(instance.handle_, &messenger, nullptr, &instance.messenger_),
              "creating the validation messenger"));
  }
  return instance;
}

Instance::Instance(Instance&& other) noexcept { *this = std::move(other); }

Instance& Instance::operator=(Instance&& other) noexcept {
  if (this != &other) {
    release();
    handle_ = std::exchange(other.handle_, VK_NULL_HANDLE);
    messenger_ = std::exchange(other.messenger_, VK_NULL_HANDLE);
    log_ = std::move(other.log_);
  }
  return *this;
}

Instance::~Instance() { release(); }

void Instance::abandon() {
  handle_ = VK_NULL_HANDLE;
  messenger_ = VK_NULL_HANDLE;
  // The layer keeps the address of the log; it stays for as long as the process.
  static_cast<void>(log_.release());
}

void Instance::release() {
  if (handle_ == VK_NULL_HANDLE) return;
  if (messenger_ != VK_NULL_HANDLE) {
    const auto destroy_messenger = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
        vkGetInstanceProcAddr(handle_, "vkDestroyDebugUtilsMessengerEXT"));
    if (destroy_messenger != nullptr) destroy_messenger(handle_, messenger_, nullptr);
  }
  vkDestroyInstance(handle_, nullptr);
  handle_ = VK_NULL_HANDLE;
}

}  // namespace preflight::vk
