// `preflight-run preprocess` as its users start it: the file it writes holds what the golden cases
// say.

#include <cmath>
#include <cstdlib>
#include <fstream>

#include <sys/wait.h>

#include "tests/media/golden.h"

namespace preflight::media {
namespace {

class Preprocess : public testing::Test {
 protected:
  Preprocess() {
    std::string name = (std::filesystem::temp_directory_path() / "preflight-media-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Preprocess() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path out() const { return folder_ / "out.safetensors"; }
  /// The exit status; what it said on stderr is in said_.
  int run(const std::string& arguments) {
    const auto heard = folder_ / "stderr";
    const std::string command = std::string(PREFLIGHT_BIN) + "/preflight-run preprocess " +
                                arguments + " --out " + out().string() + " > /dev/null 2> " +
                                heard.string();
    const int status = std::system(command.c_str());
    std::ifstream in(heard);
    said_.assign(std::istreambuf_iterator<char>(in), {});
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::filesystem::path folder_;
  std::string said_;
};

/// Rows of `pre.patches_u8` against the same rows of what was written.
void expect_patches(const Golden& golden, const Golden& written) {
  EXPECT_EQ(written.get<std::int32_t>("positions"), golden.get<std::int32_t>("pre.positions"));
  const auto patches = written.get<float>("patches");
  EXPECT_EQ(written.shape("patches"),
            (std::vector<std::uint64_t>{golden.get<float>("pre.means").size(), kPatchValues}));
  const auto rows = golden.get<std::int32_t>("pre.rows");
  const auto expected = golden.get<std::uint8_t>("pre.patches_u8");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t k = 0; k < kPatchValues; ++k) {
      const float value = patches.at(static_cast<std::size_t>(rows[i]) * kPatchValues + k);
      ASSERT_EQ(std::lround(value * 255.0f), expected[i * kPatchValues + k]) << rows[i];
    }
  }
}

TEST_F(Preprocess, APicture) {
  ASSERT_EQ(run(media_path("turned.jpg").string() + " --budget 70"), 0) << said_;
  expect_patches(Golden("image-turned"), Golden(out()));
}

TEST_F(Preprocess, AFilm) {
  ASSERT_EQ(run(media_path("clip.mp4").string() + " --frames 4"), 0) << said_;
  const Golden written(out());
  expect_patches(Golden("video-4"), written);
  EXPECT_EQ(written.get<std::int32_t>("frame_rows"), (std::vector<std::int32_t>{60, 60, 60, 60}));
  EXPECT_EQ(written.get<float>("times"), (std::vector<float>{0.0f, 1.0f, 2.0f, 3.0f}));
}

TEST_F(Preprocess, ASound) {
  ASSERT_EQ(run(media_path("three.wav").string()), 0) << said_;
  const Golden golden("audio-three");
  const Golden written(out());
  EXPECT_EQ(written.shape("frames"), (std::vector<std::uint64_t>{78, kAudioFrame}));
  const auto frames = written.get<float>("frames");
  const auto rows = golden.get<std::int32_t>("pre.rows");
  const auto expected = golden.get<float>("pre.frames");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    for (std::size_t k = 0; k < kAudioFrame; ++k) {
      ASSERT_EQ(frames.at(static_cast<std::size_t>(rows[i]) * kAudioFrame + k),
                expected[i * kAudioFrame + k]);
    }
  }
}

TEST_F(Preprocess, MistakesAreSentences) {
  EXPECT_EQ(run((folder_ / "none.png").string()), 1);
  EXPECT_NE(said_.find("none.png: no such file"), std::string::npos) << said_;
  EXPECT_EQ(run(media_path("dot.png").string() + " --budget 71"), 1);
  EXPECT_NE(said_.find("image budget 71 is none of"), std::string::npos) << said_;
  EXPECT_EQ(run(media_path("dot.png").string() + " --frames 4"), 1);
  EXPECT_NE(said_.find("dot.png is a picture: --frames has no meaning for it"), std::string::npos);
  EXPECT_EQ(run(""), 2);
  EXPECT_EQ(run(media_path("dot.png").string() + " --colour"), 2);
}

}  // namespace
}  // namespace preflight::media
