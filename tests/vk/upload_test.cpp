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

TEST_P(UploadTest, PlanesAreFilledTogetherInOrder) {
  // A row of small blocks in two planes, whose sizes divide no power of two.
  constexpr Uploader::Plane kPlanes[] = {{.offset = 16, .unit_bytes = 34 * 13},
                                         {.offset = 450'000, .unit_bytes = 28}};
  constexpr std::uint64_t kUnits = 1001;
  Buffer buffer = must(Buffer::create(device(), 500'000, Residency::kDevice, "rows"));
  Uploader up = uploader();
  const std::vector<std::uint32_t> old(buffer.size_bytes() / 4, 0x07070707);
  must(up.write(buffer, 0, std::as_bytes(std::span(old))));
  const auto value = [](std::size_t plane, std::uint64_t unit) {
    return static_cast<std::uint8_t>(17 * plane + 3 * unit);
  };
  std::uint64_t next = 0;
  const auto fill = [&](std::uint64_t first, std::uint64_t n,
                        std::span<const std::span<std::byte>> pieces) -> Result<void> {
    EXPECT_EQ(first, next);
    EXPECT_EQ(pieces.size(), 2u);
    next += n;
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      EXPECT_EQ(pieces[i].size(), n * kPlanes[i].unit_bytes);
      for (std::uint64_t u = 0; u < n; ++u)
        std::memset(pieces[i].data() + u * kPlanes[i].unit_bytes, value(i, first + u),
                    kPlanes[i].unit_bytes);
    }
    EXPECT_LE(pieces[0].size() + pieces[1].size(), kRingBytes / 2);
    return {};
  };
  must(up.write(buffer, kPlanes, kUnits, fill));
  EXPECT_EQ(next, kUnits);

  std::vector<std::uint8_t> expected(buffer.size_bytes(), 7);
  for (std::size_t i = 0; i < 2; ++i)
    for (std::uint64_t u = 0; u < kUnits; ++u)
      std::memset(expected.data() + kPlanes[i].offset + u * kPlanes[i].unit_bytes, value(i, u),
                  kPlanes[i].unit_bytes);
  const auto words = seen_by_device(buffer);
  EXPECT_EQ(std::memcmp(words.data(), expected.data(), expected.size()), 0);
}

TEST_P(UploadTest, AnErrorOfTheSourceComesThrough) {
  constexpr Uploader::Plane kPlane{.offset = 0, .unit_bytes = 1024};
  Buffer buffer = must(Buffer::create(device(), 1 << 20, Residency::kDevice, "target"));
  Uploader up = uploader();
  int n_calls = 0;
  const auto fill = [&](std::uint64_t, std::uint64_t,
                        std::span<const std::span<std::byte>> pieces) -> Result<void> {
    std::memset(pieces[0].data(), 0, pieces[0].size());
    if (++n_calls == 4) return fail(ErrorCode::kIo, "disk gone");
    return {};
  };
  const auto written = up.write(buffer, {&kPlane, 1}, 1024, fill);
  ASSERT_FALSE(written.has_value());
  EXPECT_EQ(written.error().message, "disk gone");
  EXPECT_EQ(n_calls, 4);
}

TEST_P(UploadTest, OutOfBoundsAndOverlargeUnitsAreRefused) {
  Buffer buffer = must(Buffer::create(device(), kRingBytes, Residency::kDevice, "target"));
  Uploader up = uploader();
  std::vector<std::byte> bytes(kRingBytes + 1);
  EXPECT_FALSE(up.write(buffer, 0, bytes).has_value());
  EXPECT_FALSE(up.read(buffer, 1, std::span(bytes).first(kRingBytes)).has_value());
  const auto fill = [](std::uint64_t, std::uint64_t,
                       std::span<const std::span<std::byte>>) -> Result<void> { return {}; };
  const auto refused = [&](std::initializer_list<Uploader::Plane> planes) {
    return !up.write(buffer, std::span(planes.begin(), planes.size()), 1, fill).has_value();
  };
  EXPECT_TRUE(refused({{0, kRingBytes}}));
  EXPECT_TRUE(refused({{0, 0}}));
  EXPECT_TRUE(refused({}));
  EXPECT_TRUE(refused({{kRingBytes - 1, 2}}));
  EXPECT_TRUE(refused({{0, 1}, {1, 1}, {2, 1}, {3, 1}, {4, 1}}));
  EXPECT_TRUE(up.write(buffer, 0, std::span<const std::byte>()).has_value());
}

INSTANTIATE_TEST_SUITE_P(BothPaths, UploadTest,
                         testing::Values(UploadPath::kDirectWhereVisible, UploadPath::kStaged),
                         [](const auto& path) {
                           return path.param == UploadPath::kStaged ? "Staged" : "Direct";
                         });

}  // namespace
}  // namespace preflight::vk
