#include "vk/buffer.h"

#include <cstring>
#include <vector>

#include "tests/vk/vk_test.h"

namespace preflight::vk {
namespace {

using BufferTest = DeviceTest;

TEST_F(BufferTest, HostMemoryCanBeWrittenAndRead) {
  for (const Residency residency : {Residency::kUpload, Residency::kReadback}) {
    Buffer buffer = must(Buffer::create(device(), 1000, residency, "host"));
    ASSERT_EQ(buffer.host_view().size(), 1000u);
    std::memset(buffer.host_view().data(), 0x5a, 1000);
    EXPECT_EQ(buffer.host_view().back(), std::byte{0x5a});
  }
}

TEST_F(BufferTest, DeviceMemoryIsVisibleWhereMemoryIsUnified) {
  Buffer buffer = must(Buffer::create(device(), 4096, Residency::kDevice, "weights"));
  EXPECT_EQ(buffer.host_view().size(), device().description().unified_memory ? 4096u : 0u);
}

TEST_F(BufferTest, SharesOfABlockDoNotOverlapAndAreBindable) {
  std::vector<Buffer> buffers;
  for (std::size_t i = 0; i < 50; ++i) {
    buffers.push_back(must(Buffer::create(device(), 1 + 37 * i, Residency::kUpload, "share")));
    std::memset(buffers.back().host_view().data(), static_cast<int>(i), 1 + 37 * i);
  }
  // Give every second one back and fill the gaps again.
  for (std::size_t i = 0; i < 50; i += 2) {
    buffers[i] = must(Buffer::create(device(), 20 + 37 * i, Residency::kUpload, "again"));
    std::memset(buffers[i].host_view().data(), static_cast<int>(i), 20 + 37 * i);
  }
  for (std::size_t i = 0; i < 50; ++i) {
    for (const std::byte b : buffers[i].host_view()) ASSERT_EQ(b, static_cast<std::byte>(i));
  }
}

TEST_F(BufferTest, TheMeterCountsWhatIsHeldAndItsPeak) {
  {
    Buffer a = must(Buffer::create(device(), 1000, Residency::kDevice, "a"));
    {
      Buffer b = must(Buffer::create(device(), 100 << 20, Residency::kDevice, "b"));
      EXPECT_EQ(device().allocated_bytes(), 1000u + (100 << 20));
    }
    EXPECT_EQ(device().allocated_bytes(), 1000u);
  }
  EXPECT_EQ(device().allocated_bytes(), 0u);
  EXPECT_EQ(device().peak_allocated_bytes(), 1000u + (100 << 20));
}

TEST_F(BufferTest, TooLargeARequestNamesLabelAndLimit) {
  const VkDeviceSize most = device().description().max_allocation_bytes;
  const auto buffer = Buffer::create(device(), most + 4, Residency::kDevice, "blk.0.attn_q.weight");
  ASSERT_FALSE(buffer.has_value());
  EXPECT_EQ(buffer.error().code, ErrorCode::kLimit);
  EXPECT_NE(buffer.error().message.find("blk.0.attn_q.weight"), std::string::npos);
}

TEST_F(BufferTest, AnEmptyBufferIsRefused) {
  const auto buffer = Buffer::create(device(), 0, Residency::kDevice, "nothing");
  ASSERT_FALSE(buffer.has_value());
  EXPECT_EQ(buffer.error().message, "buffer \"nothing\" has no size");
}

TEST_F(BufferTest, SlicesOutsideTheirBufferAreRefused) {
  const Buffer buffer = must(Buffer::create(device(), 100, Residency::kUpload, "small"));
  EXPECT_TRUE(check_bounds(whole(buffer), "use").has_value());
  EXPECT_FALSE(check_bounds({&buffer, 0, 101}, "use").has_value());
  EXPECT_FALSE(check_bounds({&buffer, 100, 1}, "use").has_value());
  EXPECT_FALSE(check_bounds({&buffer, 4, 0}, "use").has_value());
  EXPECT_FALSE(check_bounds({&buffer, 8, ~VkDeviceSize{0} - 4}, "use").has_value());
  EXPECT_FALSE(check_bounds({}, "use").has_value());
  EXPECT_EQ(check_bounds({&buffer, 96, 8}, "copy").error().message,
            "copy: 8 bytes from 96 do not lie in \"small\" of 100 bytes");
}

}  // namespace
}  // namespace preflight::vk
