#include "client/upload.h"

#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "daemon/protocol/bundle.h"

namespace preflight::client {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class UploadTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }
  fs::path file(const std::string& name, const std::string& content) {
    fs::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << content;
    return root_ / name;
  }
  fs::path root_ = fs::temp_directory_path() / ("preflight-upload-" + std::to_string(::getpid()));
};

TEST_F(UploadTest, SendsWhatTheBundleNamesAndNothingElse) {
  file("bundle.json",
       R"({"assets":[{"id":"a","path":"sub/a.txt"},{"id":"a2","path":"sub/a.txt"},
           {"id":"b","path":"link.txt"},{"id":"c","path":"../outside.txt"},{"id":"d","path":"dir"},
           {"id":"e","path":"missing"},{"id":"f","path":"linked/a.txt"},{"id":"g","text":"inline"},
           {"id":"h","path":"/etc/hostname"}, 7]})");
  file("sub/a.txt", "hello");
  file("unused.txt", "not named");
  fs::create_directories(root_ / "dir");
  fs::create_symlink(root_ / "sub/a.txt", root_ / "link.txt");
  fs::create_directory_symlink(root_ / "sub", root_ / "linked");

  const auto upload = upload_from_directory(root_);
  ASSERT_TRUE(upload.has_value()) << upload.error().message;
  ASSERT_EQ(upload->files.size(), 1u);
  EXPECT_EQ(upload->files[0].name, "sub/a.txt");
  EXPECT_EQ(upload->files[0].size_bytes, 5u);
  EXPECT_EQ(upload->left_out, (std::vector<std::string>{
                                  "link.txt: is a link", "../outside.txt: leaves the bundle",
                                  "dir: is not a regular file", "missing: file not found",
                                  "linked/a.txt: is a link", "/etc/hostname: no relative path"}));
}

TEST_F(UploadTest, DirectoryWithoutABundleIsRefusedByName) {
  const auto upload = upload_from_directory(root_);
  ASSERT_FALSE(upload.has_value());
  EXPECT_EQ(upload.error().exit, Exit::kUsage);
  EXPECT_EQ(upload.error().message, (root_ / "bundle.json").string() + ": file not found");
}

TEST_F(UploadTest, FlagsBecomeABundleThatTheLintAccepts) {
  BundleFlags flags;
  flags.video = file("Brewa v07 (9x16).MP4", "film");
  flags.brief = file("brief.md", "the brief");
  flags.images = {file("one.png", "1"), file("two.png", "2")};
  flags.placements = {"tiktok.infeed"};
  flags.offer = "First bag free";
  flags.price = "89.00";
  flags.currency = "GBP";
  flags.discount_pct = "20";
  flags.deny = {"burns fat"};
  flags.tone = {"warm", "plain"};
  flags.hook = "Your 8am is about to get easier.";

  const auto upload = upload_from_flags(flags, "en_GB.UTF-8");
  ASSERT_TRUE(upload.has_value()) << upload.error().message;
  const json bundle = json::parse(upload->bundle_json, nullptr, false);
  EXPECT_EQ(bundle["id"], "brewa-v07-9x16");
  EXPECT_EQ(bundle["locale"], "en-GB");
  EXPECT_EQ(bundle["assumed"],
            (json{"id brewa-v07-9x16 (from the file's name)", "locale en-GB (from LANG)",
                  "product_class general (default)"}));

  const fs::path saved = root_ / "saved";
  ASSERT_TRUE(save_bundle(*upload, saved).has_value());
  const protocol::BundleReading reading = protocol::read_bundle(saved, {});
  EXPECT_TRUE(reading.problems.errors.empty()) << reading.problems.errors[0].message;
  ASSERT_EQ(reading.bundle.all(protocol::Role::kProductImage).size(), 2u);
  EXPECT_EQ(reading.bundle.first(protocol::Role::kBrief)->text, "the brief");
  EXPECT_EQ(reading.bundle.offer->discount_pct, 20.0);

  EXPECT_FALSE(save_bundle(*upload, saved).has_value()) << "a full directory is left alone";
}

TEST_F(UploadTest, FlagsNameEveryFileThatCannotBeRead) {
  BundleFlags flags;
  flags.video = root_ / "no.mp4";
  flags.brief = root_;
  const auto upload = upload_from_flags(flags, "C");
  ASSERT_FALSE(upload.has_value());
  EXPECT_EQ(upload.error().exit, Exit::kUsage);
  EXPECT_NE(upload.error().message.find("no.mp4: "), std::string::npos);
  EXPECT_NE(upload.error().message.find(root_.string() + ": is not a regular file"),
            std::string::npos);
}

TEST_F(UploadTest, MultipartNamesFilesByTheirPaths) {
  Upload upload{.bundle_json = "{}"};
  upload.files.push_back({"img/a \"b\".png", root_ / "x", 3});
  const auto body = multipart_body(upload, "B");
  ASSERT_EQ(body.size(), 5u);
  EXPECT_EQ(body[0].text,
            "--B\r\nContent-Disposition: form-data; name=\"bundle\"; filename=\"bundle.json\"\r\n"
            "Content-Type: application/json\r\n\r\n{}\r\n");
  EXPECT_NE(body[1].text.find("name=\"file\"; filename=\"img/a %22b%22.png\"\r\n"),
            std::string::npos);
  EXPECT_EQ(body[2].file_bytes, 3u);
  EXPECT_EQ(body[4].text, "--B--\r\n");
}

TEST(RandomHex, IsHexOfTheAskedLengthAndDiffers) {
  EXPECT_EQ(random_hex(16).size(), 32u);
  EXPECT_NE(random_hex(16), random_hex(16));
}

}  // namespace
}  // namespace preflight::client
