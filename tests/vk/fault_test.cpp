// What becomes of work when the driver fails: the layer of fault_layer.cpp lies over the real one.
// These devices are broken on purpose, so the validation layer stays out.

#include <cstdlib>
#include <cstring>

#include "tests/vk/vk_test.h"

namespace preflight::vk {
namespace {

class FaultTest : public testing::Test {
 protected:
  void SetUp() override {
    set("VK_LAYER_PATH", PREFLIGHT_FAULT_LAYER_DIR);
    set("VK_INSTANCE_LAYERS", "VK_LAYER_PREFLIGHT_fault");
    fault("");
    device_.emplace(must(Device::create({})));
  }
  void TearDown() override {
    device_.reset();
    set("VK_INSTANCE_LAYERS", "");
  }

  static void set(const char* name, const char* value) { ASSERT_EQ(setenv(name, value, 1), 0); }
  static void fault(const char* kind) { set("PREFLIGHT_FAULT", kind); }

  Device& device() { return *device_; }
  std::optional<Device> device_;
};

TEST_F(FaultTest, WorkReportedButNotDoneIsALostDevice) {
  Submitter submitter = must(Submitter::create(device()));
  EXPECT_TRUE(submitter.run({}).has_value());
  fault("undone");
  const auto ran = submitter.run({});
  ASSERT_FALSE(ran.has_value());
  EXPECT_EQ(ran.error().code, ErrorCode::kDeviceLost);
  EXPECT_NE(ran.error().message.find("sentinel"), std::string::npos) << ran.error().message;
  EXPECT_TRUE(device().lost());

  fault("");  // a lost device stays lost, even if it could go on
  EXPECT_EQ(submitter.run({}).error().code, ErrorCode::kDeviceLost);
}

TEST_F(FaultTest, ALostDeviceCanBeBuiltAgain) {
  {
    Submitter submitter = must(Submitter::create(device()));
    fault("lost");
    const auto ran = submitter.run({});
    ASSERT_FALSE(ran.has_value());
    EXPECT_EQ(ran.error().code, ErrorCode::kDeviceLost);
    EXPECT_NE(ran.error().message.find("ERROR_DEVICE_LOST"), std::string::npos);
  }
  fault("");
  device_.reset();
  device_.emplace(must(Device::create({})));
  Submitter submitter = must(Submitter::create(device()));
  EXPECT_TRUE(submitter.run({}).has_value());
}

TEST_F(FaultTest, AWaitHasAHeartbeatAndAnEnd) {
  Submitter submitter = must(Submitter::create(device(), std::chrono::milliseconds(1100)));
  int n_beats = 0;
  submitter.set_heartbeat([&] { ++n_beats; });
  fault("hang");
  const auto ran = submitter.run({});
  ASSERT_FALSE(ran.has_value());
  EXPECT_EQ(ran.error().code, ErrorCode::kDeviceLost);
  EXPECT_NE(ran.error().message.find("within 1100 ms"), std::string::npos) << ran.error().message;
  EXPECT_GE(n_beats, 2);
  fault("");
  // The next device works beside the one that is left alone.
  Device fresh = must(Device::create({}));
  Submitter again = must(Submitter::create(fresh));
  EXPECT_TRUE(again.run({}).has_value());
}

TEST_F(FaultTest, MemoryThatIsRefusedNamesLabelRequestAndWhatIsFree) {
  fault("memory");
  const auto buffer =
      Buffer::create(device(), VkDeviceSize{640} << 10, Residency::kDevice, "sliding KV pages");
  ASSERT_FALSE(buffer.has_value());
  EXPECT_EQ(buffer.error().code, ErrorCode::kOutOfMemory);
  const std::string& text = buffer.error().message;
  EXPECT_EQ(text.find("no memory for \"sliding KV pages\" on \""), 0u) << text;
  EXPECT_NE(text.find("640 KiB asked"), std::string::npos) << text;
  EXPECT_NE(text.find("free"), std::string::npos) << text;
  EXPECT_EQ(device().allocated_bytes(), 0u);
}

}  // namespace
}  // namespace preflight::vk
