#include "engine/run/preprocessed.h"

#include <cstring>
#include <filesystem>
#include <limits>

#include <unistd.h>

#include <gtest/gtest.h>

#include "engine/model/safetensors_file.h"
#include "engine/model/safetensors_write.h"
#include "engine/run/load_media.h"

namespace preflight::run {
namespace {

using model::OutputTensor;

class PreprocessedTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/preflight-run-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  MediaSource source(text::PartKind kind) const {
    MediaSource out;
    out.kind = kind;
    out.path = folder_ / "a.safetensors";
    out.name = "a.safetensors";
    return out;
  }

  void write(const std::vector<OutputTensor>& tensors) {
    const auto written = model::write_safetensors(folder_ / "a.safetensors", tensors);
    ASSERT_TRUE(written.has_value()) << written.error().message;
  }

  std::string fault(const MediaSource& from) const {
    const auto read = read_preprocessed(from);
    return read.has_value() ? "accepted" : read.error().message;
  }

  std::filesystem::path folder_;
  std::vector<float> patches_ = std::vector<float>(6 * media::kPatchValues, 0.25F);
  std::vector<std::int32_t> grid_ = {0, 0, 1, 0, 2, 0, 0, 1, 1, 1, 2, 1};  // 3 x 2
};

TEST_F(PreprocessedTest, APicture) {
  patches_[media::kPatchValues] = 0.5F;
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {6, 2}, grid_}});
  auto medium = read_preprocessed(source(text::PartKind::kImage));
  ASSERT_TRUE(medium.has_value()) << medium.error().message;
  ASSERT_EQ(medium->frames.size(), 1U);
  EXPECT_EQ(medium->frames[0].image.columns, 3U);
  EXPECT_EQ(medium->frames[0].image.rows, 2U);
  EXPECT_EQ(medium->frames[0].image.patches, patches_);
  const auto counts = count_tokens({*medium});
  EXPECT_EQ(counts[0].frames[0].n_tokens, 6U);
}

TEST_F(PreprocessedTest, AFilm) {
  const std::vector<std::int32_t> grid = {0, 0, 1, 0, 2, 0, 0, 0, 1, 0, 2, 0};
  const std::vector<std::int32_t> rows = {3, 3};
  const std::vector<float> times = {0.0F, 1.5F};
  write({{"patches", {6, media::kPatchValues}, patches_},
         {"positions", {6, 2}, grid},
         {"frame_rows", {2}, rows},
         {"times", {2}, times}});
  auto medium = read_preprocessed(source(text::PartKind::kVideo));
  ASSERT_TRUE(medium.has_value()) << medium.error().message;
  ASSERT_EQ(medium->frames.size(), 2U);
  EXPECT_EQ(medium->frames[1].time_s, 1.5);
  EXPECT_EQ(medium->frames[1].image.n_tokens(), 3U);
  MediaSource with_sound = source(text::PartKind::kVideo);
  with_sound.sound = true;
  EXPECT_EQ(fault(with_sound), "a.safetensors holds frames only, so it has no sound track to add");
  EXPECT_EQ(fault(source(text::PartKind::kImage)),
            "a.safetensors holds a film, expected a picture");
}

TEST_F(PreprocessedTest, Sound) {
  const std::vector<float> frames(3 * media::kAudioFrame, 0.5F);
  write({{"frames", {3, media::kAudioFrame}, frames}});
  auto medium = read_preprocessed(source(text::PartKind::kAudio));
  ASSERT_TRUE(medium.has_value()) << medium.error().message;
  ASSERT_EQ(medium->clips.size(), 1U);
  EXPECT_EQ(medium->clips[0].n_frames, 3U);
  EXPECT_EQ(medium->clips[0].samples, frames);
}

TEST_F(PreprocessedTest, RefusesWhatIsNoPicture) {
  MediaSource image = source(text::PartKind::kImage);
  write({{"patches", {6, media::kPatchValues}, patches_}});
  EXPECT_EQ(fault(image), "a.safetensors has no tensor positions");
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {12}, grid_}});
  EXPECT_EQ(fault(image), "a.safetensors has positions as I32 [12], expected I32 [n, 2]");
  grid_[1] = 7;
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {6, 2}, grid_}});
  EXPECT_EQ(fault(image),
            "a.safetensors has positions from patch 0 on that are no picture in raster order");
  grid_[10] = INT32_MAX;
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {6, 2}, grid_}});
  EXPECT_NE(fault(image), "accepted");
  grid_[10] = -1;
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {6, 2}, grid_}});
  EXPECT_NE(fault(image), "accepted");
  patches_[5] = std::numeric_limits<float>::quiet_NaN();
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {6, 2}, grid_}});
  EXPECT_EQ(fault(image), "a.safetensors has a value in patches that is not finite");
}

TEST_F(PreprocessedTest, TheBudgetIsAPromise) {
  write({{"patches", {6, media::kPatchValues}, patches_}, {"positions", {6, 2}, grid_}});
  MediaSource image = source(text::PartKind::kImage);
  image.budget = 5;
  EXPECT_EQ(fault(image), "a.safetensors holds a picture of 6 soft tokens, the budget is 5");
}

TEST_F(PreprocessedTest, WrittenFilesReadBack) {
  const std::vector<float> values = {1.0F, -2.5F};
  const std::vector<std::int32_t> ids = {3, -4, 5};
  write({{"ids", {3}, ids}, {"logits", {1, 2}, values}});
  auto file = model::SafetensorsFile::open(folder_ / "a.safetensors");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->find("ids")->dtype, "I32");
  EXPECT_EQ(file->find("logits")->shape, (std::vector<std::uint64_t>{1, 2}));
  EXPECT_EQ(std::memcmp(file->find("logits")->bytes.data(), values.data(), 8), 0);
  EXPECT_FALSE(model::write_safetensors(folder_ / "b",
                                        std::vector<OutputTensor>{{"x", {3}, std::span(values)}})
                   .has_value());
  EXPECT_FALSE(model::write_safetensors(folder_ / "no" / "b", {}).has_value());
}

}  // namespace
}  // namespace preflight::run
