#include "vk/device.h"

#include <cstdlib>
#include <string>

#include "tests/vk/vk_test.h"
#include "vk/enumerate.h"
#include "vk/result.h"

namespace preflight::vk {
namespace {

// Sets a variable of the environment for one test; the loader reads it with every instance.
class Environment {
 public:
  Environment(std::string name, const char* value) : name_(std::move(name)) {
    if (const char* old = std::getenv(name_.c_str())) old_ = old;
    EXPECT_EQ(setenv(name_.c_str(), value, 1), 0);
  }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;
  ~Environment() {
    if (old_) {
      EXPECT_EQ(setenv(name_.c_str(), old_->c_str(), 1), 0);
    } else {
      EXPECT_EQ(unsetenv(name_.c_str()), 0);
    }
  }

 private:
  std::string name_;
  std::optional<std::string> old_;
};

DeviceDescription described(std::string name, DeviceType type, VkDeviceSize memory_bytes = 1 << 30,
                            Tier tier = Tier::kF16) {
  DeviceDescription d;
  d.name = std::move(name);
  d.type = type;
  d.software = type == DeviceType::kCpu;
  d.memory_bytes = memory_bytes;
  d.best_tier = tier;
  return d;
}

TEST(ChooseDevice, TakesDiscreteBeforeIntegratedBeforeSoftware) {
  auto cpu = described("llvmpipe", DeviceType::kCpu, VkDeviceSize{64} << 30);
  auto integrated = described("Radeon 780M", DeviceType::kIntegrated);
  auto discrete = described("GeForce", DeviceType::kDiscrete);
  choose({&cpu, &integrated, &discrete}, "");
  EXPECT_TRUE(discrete.chosen);
  EXPECT_FALSE(cpu.chosen || integrated.chosen);
  EXPECT_EQ(discrete.reason, "best of 3 usable devices: discrete comes before integrated");
  EXPECT_EQ(integrated.reason, "\"GeForce\" is taken: discrete comes before integrated");
  EXPECT_EQ(cpu.reason, "\"GeForce\" is taken: discrete comes before cpu");
}

TEST(ChooseDevice, PassesOverARefusedDevice) {
  auto old = described("Old", DeviceType::kDiscrete);
  old.refused = "offers Vulkan 1.1.0, 1.3 is needed";
  auto cpu = described("llvmpipe", DeviceType::kCpu);
  choose({&old, &cpu}, "");
  EXPECT_TRUE(cpu.chosen);
  EXPECT_EQ(cpu.reason, "the only usable device");
  EXPECT_EQ(old.reason, "offers Vulkan 1.1.0, 1.3 is needed");
}

TEST(ChooseDevice, NameRestrictsInAnyLetterCase) {
  auto a = described("GeForce", DeviceType::kDiscrete);
  auto b = described("LLVMpipe (256 bits)", DeviceType::kCpu);
  choose({&a, &b}, "llvmPIPE");
  EXPECT_TRUE(b.chosen);
  EXPECT_EQ(b.reason, "the only usable device with \"llvmPIPE\" in its name");
  EXPECT_EQ(a.reason, "its name does not contain \"llvmPIPE\"");
  choose({&a, &b}, "arc");
  EXPECT_FALSE(a.chosen || b.chosen);
}

TEST(ChooseDevice, AmongEqualsTierThenMemoryThenOrderDecide) {
  auto base = described("A", DeviceType::kDiscrete, VkDeviceSize{24} << 30, Tier::kBase);
  auto small = described("B", DeviceType::kDiscrete, VkDeviceSize{8} << 30);
  auto large = described("C", DeviceType::kDiscrete, VkDeviceSize{16} << 30);
  auto twin = described("D", DeviceType::kDiscrete, VkDeviceSize{16} << 30);
  choose({&base, &small, &large, &twin}, "");
  EXPECT_TRUE(large.chosen);
  EXPECT_EQ(large.reason, "best of 4 usable devices: listed first");
  EXPECT_EQ(small.reason, "\"C\" is taken: more memory comes first");
  EXPECT_EQ(base.reason, "\"C\" is taken: tier f16 comes before base");
}

TEST(ListDevices, DescribesEveryDeviceAndOneChoice) {
  const auto devices = must(list_devices({}));
  ASSERT_FALSE(devices.empty());
  int n_chosen = 0;
  for (const DeviceDescription& d : devices) {
    EXPECT_FALSE(d.name.empty());
    EXPECT_FALSE(d.reason.empty());
    n_chosen += d.chosen ? 1 : 0;
    if (!d.refused.empty()) continue;
    EXPECT_GE(d.api_version, VK_API_VERSION_1_3);
    EXPECT_FALSE(d.driver_name.empty());
    EXPECT_GE(d.max_workgroup_invocations, kBaseWorkgroupInvocations);
    EXPECT_GE(d.max_push_constant_bytes, 128u);
    EXPECT_LE(d.min_subgroup_size, d.subgroup_size);
    EXPECT_LE(d.subgroup_size, d.max_subgroup_size);
    EXPECT_GE(d.max_storage_buffer_range, VkDeviceSize{128} << 20);
    EXPECT_GT(d.max_allocation_bytes, 0u);
    EXPECT_GT(d.budget_bytes, 0u);
    EXPECT_TRUE(d.int_dot) << "Vulkan 1.3 asks for it";
    const bool f16 = d.storage_16bit && d.shader_f16;
    EXPECT_EQ(d.best_tier == Tier::kCoopmat, d.coopmat.m != 0);
    EXPECT_EQ(d.best_tier == Tier::kBase, !f16 && !d.int_dot_accelerated);
    if (d.best_tier == Tier::kDot) {
      EXPECT_TRUE(d.int_dot_accelerated);
    }
    if (d.best_tier == Tier::kF16 || d.best_tier == Tier::kCoopmat) {
      EXPECT_TRUE(f16);
    }
  }
  EXPECT_EQ(n_chosen, 1);
}

TEST(ListDevices, SoftwareMemoryIsTheSystems) {
  for (const DeviceDescription& d : must(list_devices({}))) {
    if (!d.software) continue;
    EXPECT_TRUE(d.shares_system_memory);
    EXPECT_TRUE(d.unified_memory);
  }
}

TEST(CreateDevice, AnUnknownNameIsRefusedWithTheNamesThereAre) {
  const auto device = Device::create({.name_contains = "no such device"});
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, ErrorCode::kNotFound);
  EXPECT_NE(device.error().message.find("\"no such device\""), std::string::npos);
  const std::string there = must(list_devices({})).front().name;
  EXPECT_NE(device.error().message.find(there), std::string::npos) << device.error().message;
}

TEST(CreateDevice, WithoutAnyDriverTheErrorSaysSo) {
  const Environment files("VK_DRIVER_FILES", "/nonexistent");
  const Environment older("VK_ICD_FILENAMES", "/nonexistent");
  const auto device = Device::create({});
  ASSERT_FALSE(device.has_value());
  EXPECT_EQ(device.error().code, ErrorCode::kNotFound);
  EXPECT_NE(device.error().message.find("no Vulkan driver"), std::string::npos);
  const auto devices = list_devices({});
  ASSERT_FALSE(devices.has_value());
  EXPECT_EQ(devices.error().code, ErrorCode::kNotFound);
}

TEST(CreateDevice, TheEnvironmentSwitchesValidationOn) {
  const Environment validation("PREFLIGHT_VALIDATION", "1");
  Device device = must(Device::create({}));
  // A mistake that only the layer sees.
  VkBufferCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
  info.size = 0;
  info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
  VkBuffer buffer = VK_NULL_HANDLE;
  testing::internal::CaptureStderr();
  const VkResult created = vkCreateBuffer(device.handle(), &info, nullptr, &buffer);
  const std::string printed = testing::internal::GetCapturedStderr();
  if (created == VK_SUCCESS) vkDestroyBuffer(device.handle(), buffer, nullptr);
  EXPECT_GE(device.validation_messages(), 1u);
  EXPECT_NE(device.first_validation_message().find("VUID-VkBufferCreateInfo-size"),
            std::string::npos);
  EXPECT_NE(printed.find(device.first_validation_message()), std::string::npos);
}

TEST_F(DeviceTest, SurvivesBeingMoved) {
  Buffer buffer = must(Buffer::create(device(), 1024, Residency::kDevice, "moved"));
  Device moved = std::move(*device_);
  device_.emplace(std::move(moved));
  EXPECT_EQ(device().allocated_bytes(), 1024u);
}

TEST(Describe, NamesResults) {
  EXPECT_EQ(describe(VK_ERROR_DEVICE_LOST), "ERROR_DEVICE_LOST");
  EXPECT_EQ(describe(static_cast<VkResult>(-77)), "result -77");
  EXPECT_EQ(vulkan_error(VK_ERROR_DEVICE_LOST, "x").code, ErrorCode::kDeviceLost);
  EXPECT_EQ(vulkan_error(VK_ERROR_OUT_OF_HOST_MEMORY, "x").code, ErrorCode::kOutOfMemory);
  EXPECT_EQ(format_bytes(300), "300 bytes");
  EXPECT_EQ(format_bytes(VkDeviceSize{640} << 20), "640 MiB");
  EXPECT_EQ(format_bytes(VkDeviceSize{3} << 29), "1.5 GiB");
}

}  // namespace
}  // namespace preflight::vk
