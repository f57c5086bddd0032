#include "daemon/bundle_path.h"

#include <string>

#include <gtest/gtest.h>

namespace preflight::daemon {
namespace {

TEST(BundlePath, TakesRelativePathsInUtf8) {
  for (const char* path : {"a", "img/one.png", "v07/cut 9x16.mp4", "Überschrift/日本.txt", "...",
                           "..a/b..", "a/.hidden", "emoji \xf0\x9f\x98\x80.txt"})
    EXPECT_TRUE(check_bundle_path(path)) << path;
}

TEST(BundlePath, RefusesWhatLeavesTheBundleOrIsNoName) {
  const std::string long_part(256, 'x');
  std::string deep = "a";
  for (int i = 0; i < 16; ++i) deep += "/a";
  const std::string cases[] = {"",
                               "/etc/passwd",
                               "..",
                               "../a",
                               "a/../b",
                               "a/..",
                               ".",
                               "a/./b",
                               "a//b",
                               "a/",
                               "a\\b",
                               "a\nb",
                               "a\x7f",
                               std::string("a\0b", 3),
                               "\xc3",
                               "\xc0\xaf",
                               "\xed\xa0\x80",
                               "\xf5\x80\x80\x80",
                               "\xe0\x80\xaf",
                               long_part,
                               deep,
                               "\xc2\x85"};
  for (const std::string& path : cases) {
    const Result<void> result = check_bundle_path(path);
    ASSERT_FALSE(result) << path;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  }
}

TEST(BundleNames, RefusesTheSameNameInAnotherCase) {
  BundleNames names;
  EXPECT_TRUE(names.add_file("bundle.json"));
  EXPECT_TRUE(names.add_file("img/One.png"));
  EXPECT_TRUE(names.add_file("img/two.png"));
  EXPECT_FALSE(names.add_file("img/one.png"));
  EXPECT_FALSE(names.add_file("IMG/three.png"));
  EXPECT_FALSE(names.add_file("Bundle.JSON"));
  EXPECT_TRUE(names.add_file("Ä/Ж.png"));
  EXPECT_FALSE(names.add_file("ä/other.png"));
  EXPECT_FALSE(names.add_file("Ä/ж.png"));
  EXPECT_FALSE(names.add_file("img/two.png"));
}

TEST(BundleNames, RefusesAFileThatIsAlsoAFolder) {
  BundleNames names;
  EXPECT_TRUE(names.add_file("a/b"));
  EXPECT_FALSE(names.add_file("a"));
  EXPECT_FALSE(names.add_file("a/b/c"));
  EXPECT_TRUE(names.add_file("a/c"));
}

}  // namespace
}  // namespace preflight::daemon
