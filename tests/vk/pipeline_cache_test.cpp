#include "vk/pipeline_cache.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/vk/vk_test.h"

namespace preflight::vk {
namespace {

namespace fs = std::filesystem;

// Like DeviceTest, with a folder for the cache; each test opens its devices itself.
class PipelineCacheTest : public DeviceTest {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) /
           ("pipelines-" + std::to_string(::getpid()) + "-" +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
  }
  void TearDown() override {
    close();
    fs::remove_all(dir_);
  }

  void open() { device_.emplace(must(Device::create({.validation = true, .cache_dir = dir_}))); }
  void close() {
    DeviceTest::TearDown();
    device_.reset();
  }

  // Opens, builds a pipeline, closes; the file it left.
  fs::path write_cache() {
    open();
    EXPECT_FALSE(device().pipeline_cache_loaded());
    { const Pipeline pipeline = affine(3); }
    const fs::path file = device().pipeline_cache_file();
    close();
    return file;
  }

  bool loads_again() {
    open();
    const bool loaded = device().pipeline_cache_loaded();
    { const Pipeline pipeline = affine(3); }  // works either way
    close();
    return loaded;
  }

  static std::vector<char> content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void put(const fs::path& file, const std::vector<char>& bytes) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    ASSERT_TRUE(out.good());
  }

  fs::path dir_;
};

TEST_F(PipelineCacheTest, IsWrittenAndTakenAgain) {
  const fs::path file = write_cache();
  ASSERT_TRUE(fs::is_regular_file(file));
  EXPECT_EQ(file.parent_path(), dir_);
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  EXPECT_TRUE(loads_again());
  // One whole file, nothing half written beside it.
  EXPECT_EQ(std::distance(fs::directory_iterator(dir_), fs::directory_iterator()), 1);
}

TEST_F(PipelineCacheTest, ADamagedFileIsIgnoredAndReplaced) {
  const fs::path file = write_cache();
  const std::vector<char> good = content(file);
  ASSERT_GT(good.size(), 120u);  // the header and some payload
  auto bad = good;
  bad[good.size() - 1] = static_cast<char>(bad[good.size() - 1] ^ 1);
  put(file, bad);
  EXPECT_FALSE(loads_again());
  EXPECT_TRUE(loads_again());  // written anew by the run before

  for (const std::size_t n : {std::size_t{0}, std::size_t{10}, good.size() / 2, good.size() - 1}) {
    put(file, {good.begin(), good.begin() + static_cast<std::ptrdiff_t>(n)});
    EXPECT_FALSE(loads_again()) << n << " bytes";
  }
  put(file, good);
  EXPECT_TRUE(loads_again());
}

TEST_F(PipelineCacheTest, AFileOfAnotherBuildIsIgnored) {
  const fs::path file = write_cache();
  auto other = content(file);
  other[70] = static_cast<char>(other[70] ^ 1);  // within the key
  put(file, other);
  EXPECT_FALSE(loads_again());
}

TEST_F(PipelineCacheTest, AFileThatOthersMayWriteOrALinkIsIgnored) {
  const fs::path file = write_cache();
  fs::permissions(file, fs::perms::group_write, fs::perm_options::add);
  EXPECT_FALSE(loads_again());
  const fs::path elsewhere = dir_ / "elsewhere";
  fs::permissions(file, fs::perms::group_write, fs::perm_options::remove);
  fs::rename(file, elsewhere);
  fs::create_symlink(elsewhere, file);
  EXPECT_FALSE(loads_again());
}

TEST_F(PipelineCacheTest, AFolderThatCannotBeMadeIsAnError) {
  put(fs::path(dir_), {'x'});
  open();
  { const Pipeline pipeline = affine(3); }
  const auto saved = device().save_pipeline_cache();
  ASSERT_FALSE(saved.has_value());
  EXPECT_EQ(saved.error().code, ErrorCode::kIo);
  EXPECT_NE(saved.error().message.find(dir_.string()), std::string::npos);
}

TEST_F(PipelineCacheTest, WithoutAFolderNothingIsWritten) {
  device_.emplace(must(Device::create({.validation = true})));
  { const Pipeline pipeline = affine(3); }
  EXPECT_TRUE(device().pipeline_cache_file().empty());
  must(device().save_pipeline_cache());
}

}  // namespace
}  // namespace preflight::vk
