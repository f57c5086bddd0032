// Every picture, sound and film of the golden cases, through the real child process.

#include "tests/media/golden.h"

#include <cmath>

#include "engine/media/film.h"
#include "engine/media/preprocess.h"

namespace preflight::media {
namespace {

/// Patches in the golden files are bytes: value = byte / 255.
std::vector<std::uint8_t> bytes_of_row(const ImagePatches& image, std::size_t row) {
  std::vector<std::uint8_t> bytes;
  for (std::size_t i = 0; i < kPatchValues; ++i) {
    bytes.push_back(
        static_cast<std::uint8_t>(std::lround(image.patches[row * kPatchValues + i] * 255.0f)));
  }
  return bytes;
}

float mean_of_row(const ImagePatches& image, std::size_t row) {
  double sum = 0.0;
  for (std::size_t i = 0; i < kPatchValues; ++i) sum += image.patches[row * kPatchValues + i];
  return static_cast<float>(sum / kPatchValues);
}

std::vector<std::int32_t> positions_of(const ImagePatches& image) {
  std::vector<std::int32_t> positions;
  for (std::uint32_t t = 0; t < image.n_tokens(); ++t) {
    positions.push_back(static_cast<std::int32_t>(t % image.columns));
    positions.push_back(static_cast<std::int32_t>(t / image.columns));
  }
  return positions;
}

struct ImageCase {
  const char* name;
  const char* file;
  std::uint32_t budget;
};

class GoldenImage : public testing::TestWithParam<ImageCase> {};

TEST_P(GoldenImage, PatchesAreTheReferences) {
  const Golden golden(GetParam().name);
  const auto image =
      load_image(test_decoder(), open_or_fail(media_path(GetParam().file)), GetParam().budget);
  ASSERT_TRUE(image.has_value()) << image.error().message;

  EXPECT_EQ(positions_of(*image), golden.get<std::int32_t>("pre.positions"));
  const auto means = golden.get<float>("pre.means");
  ASSERT_EQ(image->n_tokens(), means.size());
  for (std::size_t t = 0; t < means.size(); ++t) {
    // The mean of 6912 float32 values in the reference's order of summation.
    EXPECT_NEAR(mean_of_row(*image, t), means[t], 2e-6) << "patch " << t;
  }
  const auto rows = golden.get<std::int32_t>("pre.rows");
  const auto expected = golden.get<std::uint8_t>("pre.patches_u8");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto got = bytes_of_row(*image, static_cast<std::size_t>(rows[i]));
    const auto begin = expected.begin() + static_cast<std::ptrdiff_t>(i * kPatchValues);
    EXPECT_TRUE(std::equal(got.begin(), got.end(), begin)) << "patch " << rows[i];
  }
}
INSTANTIATE_TEST_SUITE_P(
    Cases, GoldenImage,
    testing::Values(
        ImageCase{"image-70", "scene.png", 70}, ImageCase{"image-280", "scene.png", 280},
        ImageCase{"image-1120", "big.png", 1120}, ImageCase{"image-wide", "wide.png", 140},
        ImageCase{"image-grey", "grey.png", 70}, ImageCase{"image-rgba", "rgba.png", 70},
        ImageCase{"image-palette", "palette.png", 70}, ImageCase{"image-dot", "dot.png", 70},
        ImageCase{"image-flat", "flat.png", 70}, ImageCase{"image-strip", "strip.png", 70},
        ImageCase{"image-exact", "exact.png", 70}, ImageCase{"image-turned", "turned.jpg", 70},
        ImageCase{"image-tall-png", "tall.decoded.png", 70},
        ImageCase{"image-tall-jpg", "tall.jpg", 70}),
    [](const auto& one) {
      std::string name = one.param.name;
      std::replace(name.begin(), name.end(), '-', '_');
      return name;
    });

struct SoundCase {
  const char* name;
  const char* file;
  double tolerance;  ///< relative rms of a frame; 0 = equal to the bit
};

class GoldenSound : public testing::TestWithParam<SoundCase> {};

TEST_P(GoldenSound, FramesAreTheReferences) {
  const Golden golden(GetParam().name);
  const auto sound =
      load_sound(test_decoder(), open_or_fail(media_path(GetParam().file)), request_split());
  ASSERT_TRUE(sound.has_value()) << sound.error().message;
  ASSERT_EQ(sound->split.clips.size(), 1u);
  const AudioClip& clip = sound->split.clips[0];
  EXPECT_EQ(static_cast<std::int64_t>(clip.n_frames), golden.get<std::int32_t>("pre.count").at(0));
  const auto frames = audio_frames(clip.samples);
  ASSERT_TRUE(frames.has_value());

  const auto rows = golden.get<std::int32_t>("pre.rows");
  const auto expected = golden.get<float>("pre.frames");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    double error = 0.0;
    double power = 0.0;
    for (std::size_t k = 0; k < kAudioFrame; ++k) {
      const double want = expected[i * kAudioFrame + k];
      const double got = frames->at(static_cast<std::size_t>(rows[i]) * kAudioFrame + k);
      error += (got - want) * (got - want);
      power += want * want;
    }
    EXPECT_LE(std::sqrt(error), GetParam().tolerance * std::sqrt(power)) << "frame " << rows[i];
  }
  const auto rms = golden.get<float>("pre.rms");
  ASSERT_EQ(rms.size(), clip.n_frames);
}
INSTANTIATE_TEST_SUITE_P(Cases, GoldenSound,
                         testing::Values(SoundCase{"audio-half", "half.wav", 0.0},
                                         SoundCase{"audio-three", "three.wav", 0.0},
                                         SoundCase{"audio-stereo44", "stereo44.wav", 0.05},
                                         SoundCase{"audio-eight", "eight.wav", 0.05}),
                         [](const auto& one) {
                           std::string name = one.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

VideoRequest spread(std::uint64_t n_frames, std::uint32_t budget, bool sound) {
  VideoRequest request;
  request.mode = VideoRequest::Mode::kSpread;
  request.n_frames = n_frames;
  request.budget = budget;
  request.sound = sound;
  return request;
}

TEST(GoldenVideo, PatchesAreTheReferences) {
  const Golden golden("video-4");
  const auto video =
      load_video(test_decoder(), open_or_fail(media_path("clip.mp4")), spread(4, 70, false));
  ASSERT_TRUE(video.has_value()) << video.error().message;
  EXPECT_EQ(video->n_frames, 40u);
  EXPECT_EQ(video->frames_left_out, 36u);
  EXPECT_EQ(video->broken_frames, 0u);

  std::vector<std::int32_t> picked;
  std::vector<std::int32_t> positions;
  std::vector<std::string> stamps;
  std::vector<float> means;
  std::vector<std::uint8_t> rows_bytes;
  const auto rows = golden.get<std::int32_t>("pre.rows");
  std::size_t base = 0;
  for (const VideoFrame& frame : video->frames) {
    picked.push_back(static_cast<std::int32_t>(frame.index));
    stamps.push_back(frame_stamp(frame.time_s));
    const auto more = positions_of(frame.image);
    positions.insert(positions.end(), more.begin(), more.end());
    for (std::size_t t = 0; t < frame.image.n_tokens(); ++t) {
      means.push_back(mean_of_row(frame.image, t));
      if (std::find(rows.begin(), rows.end(), static_cast<std::int32_t>(base + t)) != rows.end()) {
        const auto bytes = bytes_of_row(frame.image, t);
        rows_bytes.insert(rows_bytes.end(), bytes.begin(), bytes.end());
      }
    }
    base += frame.image.n_tokens();
  }
  EXPECT_EQ(picked, golden.get<std::int32_t>("pre.frames_picked"));
  EXPECT_EQ(positions, golden.get<std::int32_t>("pre.positions"));
  EXPECT_EQ(stamps, (std::vector<std::string>{"00:00", "00:01", "00:02", "00:03"}));
  EXPECT_EQ(rows_bytes, golden.get<std::uint8_t>("pre.patches_u8"));
  const auto expected_means = golden.get<float>("pre.means");
  ASSERT_EQ(means.size(), expected_means.size());
  for (std::size_t t = 0; t < means.size(); ++t) EXPECT_NEAR(means[t], expected_means[t], 2e-6);
}

TEST(GoldenVideo, EveryFrameIsTheReferencesBitForBit) {
  const Decoder decoder = test_decoder();
  const auto strip = decoder.image(open_or_fail(media_path("clip.frames/all.png")));
  ASSERT_TRUE(strip.has_value()) << strip.error().message;
  const auto video = decoder.video(open_or_fail(media_path("clip.mp4")), spread(40, 0, false));
  ASSERT_TRUE(video.has_value()) << video.error().message;
  ASSERT_EQ(video->frames.size(), 40u);
  std::vector<std::uint8_t> all;
  for (const PickedFrame& frame : video->frames) {
    EXPECT_EQ(frame.picture.width, 96u);
    EXPECT_EQ(frame.picture.height, 64u);
    EXPECT_DOUBLE_EQ(frame.time_s, static_cast<double>(frame.index) / 10.0);
    all.insert(all.end(), frame.picture.pixels.begin(), frame.picture.pixels.end());
  }
  EXPECT_EQ(all, strip->picture.pixels);
}

TEST(GoldenVideo, SoundTrackIsCutToItsStatedDuration) {
  const Decoder decoder = test_decoder();
  const auto video = decoder.video(open_or_fail(media_path("clip.mp4")), spread(4, 70, true));
  ASSERT_TRUE(video.has_value()) << video.error().message;
  ASSERT_TRUE(video->sound.has_value());
  EXPECT_EQ(video->sound->samples.size(), 64000u);
  EXPECT_EQ(video->sound->cut_samples, 512u);
  EXPECT_EQ(video->sound->missing_samples, 0u);
  EXPECT_DOUBLE_EQ(video->sound->start_s, 0.0);

  // The stored track has been through another AAC decoder of the same kind; it may round one step
  // apart.
  const auto wav = decoder.sound(open_or_fail(media_path("clip.sound.wav")));
  ASSERT_TRUE(wav.has_value()) << wav.error().message;
  ASSERT_EQ(wav->samples.size(), 64000u);
  for (std::size_t i = 0; i < wav->samples.size(); ++i) {
    ASSERT_NEAR(video->sound->samples[i], wav->samples[i], 1.01 / 32768.0) << "sample " << i;
    if (wav->samples[i] == 0.0f && i > 31000 && i < 33000) {
      ASSERT_EQ(video->sound->samples[i], 0.0f) << "silence is exact at sample " << i;
    }
  }
}

}  // namespace
}  // namespace preflight::media
