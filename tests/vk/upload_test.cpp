#include "vk/upload.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "tests/vk/vk_test.h"

namespace preflight::vk {
namespace {

constexpr VkDeviceSize kRingBytes = 64 << 10;

class UploadTest : public DeviceTest, public testing::WithParamInterface<UploadPath> {
 protected:
  Uploader uploader() { return must(Uploader::create(device(), kRingBytes, GetParam())); }

  // Reads by a copy of the device's own: what a kernel would see.
  std::vector<std::uint32_t> seen_by_device(const Buffer& source) {
    Buffer target =
        must(Buffer::create(device(), source.size_bytes(), Residency::kReadback, "copied back"));
    CommandList list = must(CommandList::create(device()));
    list.begin();
    list.copy(whole(source), whole(target));
    must(list.end());
    Submitter submitter = must(Submitter::create(device()));
    const CommandList* lists[] = {&list};
    EXPECT_GE(must(submitter.run(lists)), 0.0);
    std::vector<std::uint32_t> words(target.size_bytes() / 4);
    std::memcpy(words.data(), target.host_view().data(), target.size_bytes());
    return words;
  }
};

TEST_P(UploadTest, WritesAndReadsMoreThanTheRing) {
  const auto words = test_words(100'003);  // six rings and a bit
  Buffer buffer = must(Buffer::create(device(), words.size() * 4, Residency::kDevice, "target"));
  Uploader up = uploader();
  must(up.write(buffer, 0, std::as_bytes(std::span(words))));
  EXPECT_EQ(seen_by_device(buffer), words);
  std::vector<std::uint32_t> read(words.size());
  must(up.read(buffer, 0, std::as_writable_bytes(std::span(read))));
  EXPECT_EQ(read, words);
}

TEST_P(UploadTest, WritesAPartAndLeavesTheRest) {
  Buffer buffer = must(Buffer::create(device(), 4096, Residency::kDevice, "target"));
  Uploader up = uploader();
  const std::vector<std::uint32_t> old(1024, 7);
  must(up.write(buffer, 0, std::as_bytes(std::span(old))));
  const auto words = test_words(100);
  must(up.write(buffer, 40, std::as_bytes(std::span(words))));
  auto expected = old;
  std::copy(words.begin(), words.end(), expected.begin() + 10);
  EXPECT_EQ(seen_by_device(buffer), expected);
  std::vector<std::uint32_t> read(50);
  must(up.read(buffer, 80, std::as_writable_bytes(std::span(read))));
  EXPECT_TRUE(std::equal(read.begin(), read.end(), words.begin() + 10));
}

TEST_P(UploadTest, PiecesAscendAlignedAndNoLargerThanTheRing) {
  constexpr VkDeviceSize kRow = 34 * 13;  // a row of small blocks: divides no power of two
  constexpr VkDeviceSize kRows = 1000;
  Buffer buffer = must(Buffer::create(device(), kRow * kRows + 5, Residency::kDevice, "rows"));
  Uploader up = uploader();
  VkDeviceSize next = 0;
  const auto fill = [&](VkDeviceSize offset, std::span<std::byte> piece) -> Result<void> {
    EXPECT_EQ(offset, next);
    EXPECT_EQ(offset % kRow, 0u);
    EXPECT_LE(piece.size(), kRingBytes);
    next += piece.size();
    if (next != kRow * kRows) {
      EXPECT_EQ(piece.size() % kRow, 0u);
    }
    std::memset(piece.data(), 1, piece.size());
    return {};
  };
  must(up.write(buffer, 5, kRow * kRows, fill, kRow));
  EXPECT_EQ(next, kRow * kRows);
}

TEST_P(UploadTest, AnErrorOfTheSourceComesThrough) {
  Buffer buffer = must(Buffer::create(device(), 1 << 20, Residency::kDevice, "target"));
  Uploader up = uploader();
  int n_calls = 0;
  const auto fill = [&](VkDeviceSize, std::span<std::byte> piece) -> Result<void> {
    std::memset(piece.data(), 0, piece.size());
    if (++n_calls == 4) return fail(ErrorCode::kIo, "disk gone");
    return {};
  };
  const auto written = up.write(buffer, 0, 1 << 20, fill);
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().message, "disk gone");
  EXPECT_EQ(n_calls, 4);
}

TEST_P(UploadTest, OutOfBoundsAndOverlargePiecesAreRefused) {
  Buffer buffer = must(Buffer::create(device(), 1000, Residency::kDevice, "target"));
  Uploader up = uploader();
  std::vector<std::byte> bytes(1001);
  EXPECT_FALSE(up.write(buffer, 0, bytes).has_value());
  EXPECT_FALSE(up.read(buffer, 1, std::span(bytes).first(1000)).has_value());
  const auto fill = [](VkDeviceSize, std::span<std::byte>) -> Result<void> { return {}; };
  EXPECT_FALSE(up.write(buffer, 0, 1000, fill, kRingBytes).has_value());
  EXPECT_FALSE(up.write(buffer, 0, 1000, fill, 0).has_value());
  EXPECT_TRUE(up.write(buffer, 0, std::span<const std::byte>()).has_value());
}

INSTANTIATE_TEST_SUITE_P(BothPaths, UploadTest,
                         testing::Values(UploadPath::kDirectWhereVisible, UploadPath::kStaged),
                         [](const auto& path) {
                           return path.param == UploadPath::kStaged ? "Staged" : "Direct";
                         });

}  // namespace
}  // namespace preflight::vk
