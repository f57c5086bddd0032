// The formats that people send, made here with the ffmpeg program, through the real child process.

#include <cmath>
#include <cstdlib>

#include <sys/stat.h>
#include <unistd.h>

#include "engine/media/preprocess.h"
#include "tests/media/golden.h"

namespace preflight::media {
namespace {

/// A directory of made files, gone at the end.
class Formats : public testing::Test {
 protected:
  Formats() {
    std::string name = (std::filesystem::temp_directory_path() / "preflight-media-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Formats() override { std::filesystem::remove_all(folder_); }

  /// Runs ffmpeg with `arguments` and gives the path of the file it wrote.
  std::filesystem::path make(const std::string& arguments, const std::string& name) {
    const auto path = folder_ / name;
    const std::string command = "ffmpeg -nostdin -v error -y " + arguments + " " + path.string();
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return path;
  }
  static std::string golden(const std::string& name) { return "-i " + media_path(name).string(); }

  std::filesystem::path folder_;
  Decoder decoder_ = test_decoder();
};

TEST_F(Formats, WebpWithoutLossEqualsThePng) {
  const auto png = decoder_.image(open_or_fail(media_path("rgba.png")));
  const auto webp =
      decoder_.image(open_or_fail(make(golden("rgba.png") + " -lossless 1", "a.webp")));
  ASSERT_TRUE(webp.has_value()) << webp.error().message;
  EXPECT_EQ(webp->format, "webp");
  EXPECT_TRUE(webp->had_alpha);
  ASSERT_EQ(webp->picture.pixels.size(), png->picture.pixels.size());
  // Encoders may forget the colour under full transparency; where anything shows, it must be equal.
  std::size_t n_different = 0;
  for (std::size_t i = 0; i < png->picture.pixels.size(); ++i) {
    n_different += png->picture.pixels[i] != webp->picture.pixels[i] ? 1u : 0u;
  }
  EXPECT_LT(n_different, png->picture.pixels.size() / 50);
}

TEST_F(Formats, OfAnAnimationTheFirstFrameIsTakenAndTheRestCounted) {
  const auto path = make(golden("clip.mp4") + " -vframes 5 -lossless 1", "anim.webp");
  const auto image = decoder_.image(open_or_fail(path));
  ASSERT_TRUE(image.has_value()) << image.error().message;
  EXPECT_EQ(image->frames_left_out, 4u);
  EXPECT_EQ(image->picture.width, 96u);
}

TEST_F(Formats, SixteenBitPicturesAreScaledNotClipped) {
  const auto eight = decoder_.image(open_or_fail(media_path("scene.png")));
  const auto sixteen =
      decoder_.image(open_or_fail(make(golden("scene.png") + " -pix_fmt rgb48be", "16.png")));
  ASSERT_TRUE(sixteen.has_value()) << sixteen.error().message;
  ASSERT_EQ(sixteen->picture.pixels.size(), eight->picture.pixels.size());
  for (std::size_t i = 0; i < eight->picture.pixels.size(); ++i) {
    ASSERT_NEAR(sixteen->picture.pixels[i], eight->picture.pixels[i], 1);
  }
}

struct SoundFormat {
  const char* name;
  const char* arguments;
  double tolerance;  ///< relative rms against the WAV
};

class SoundFormats : public Formats, public testing::WithParamInterface<SoundFormat> {};

TEST_P(SoundFormats, SoundsLikeTheWavWithoutDelay) {
  const auto wav = decoder_.sound(open_or_fail(media_path("three.wav")));
  ASSERT_TRUE(wav.has_value());
  const auto path = make(golden("three.wav") + " " + GetParam().arguments, GetParam().name);
  const auto sound = decoder_.sound(open_or_fail(path));
  ASSERT_TRUE(sound.has_value()) << sound.error().message;
  EXPECT_EQ(sound->samples.size(), wav->samples.size());
  double error = 0.0;
  double power = 0.0;
  for (std::size_t i = 0; i < std::min(wav->samples.size(), sound->samples.size()); ++i) {
    const double want = wav->samples[i];
    error += (sound->samples[i] - want) * (sound->samples[i] - want);
    power += want * want;
  }
  EXPECT_LE(std::sqrt(error), GetParam().tolerance * std::sqrt(power));
  EXPECT_EQ(sound->broken_packets, 0u);
  EXPECT_EQ(sound->missing_samples, 0u);
  const auto kind = decoder_.kind(open_or_fail(path));
  ASSERT_TRUE(kind.has_value());
  EXPECT_EQ(*kind, MediaKind::kSound);
}
// The tone carries a little white noise, which lossy codecs throw away. A delay of one millisecond
// would give more than 1.
INSTANTIATE_TEST_SUITE_P(Common, SoundFormats,
                         testing::Values(SoundFormat{"s.flac", "", 0.0},
                                         SoundFormat{"s24.wav", "-c:a pcm_s24le", 0.0},
                                         SoundFormat{"f32.wav", "-c:a pcm_f32le", 0.0},
                                         SoundFormat{"alac.m4a", "-c:a alac", 0.0},
                                         SoundFormat{"s.m4a", "-c:a aac -b:a 96k", 0.15},
                                         SoundFormat{"s.mp3", "-c:a libmp3lame -b:a 96k", 0.15},
                                         SoundFormat{"s.ogg", "-c:a libvorbis -q:a 6", 0.15},
                                         SoundFormat{"s.opus", "-c:a libopus -b:a 96k", 0.15},
                                         SoundFormat{"s.webm", "-c:a libopus -b:a 96k", 0.15}),
                         [](const auto& one) {
                           std::string name = one.param.name;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

VideoRequest all_frames() {
  VideoRequest request;
  request.mode = VideoRequest::Mode::kSpread;
  request.n_frames = 1000;
  request.budget = 0;
  request.sound = true;
  return request;
}

struct FilmFormat {
  const char* name;
  const char* arguments;
  double mean_levels;  ///< mean difference of a colour value to the MP4
};

class FilmFormats : public Formats, public testing::WithParamInterface<FilmFormat> {};

TEST_P(FilmFormats, ShowsTheSameFramesAtTheSameTimes) {
  const auto original = decoder_.video(open_or_fail(media_path("clip.mp4")), all_frames());
  ASSERT_TRUE(original.has_value());
  const auto path = make(golden("clip.mp4") + " " + GetParam().arguments, GetParam().name);
  const auto video = decoder_.video(open_or_fail(path), all_frames());
  ASSERT_TRUE(video.has_value()) << video.error().message;
  EXPECT_EQ(video->n_frames, 40u);
  EXPECT_EQ(video->broken_frames, 0u);
  EXPECT_TRUE(video->constant_rate);
  EXPECT_NEAR(video->frames_per_s, 10.0, 0.05);
  EXPECT_NEAR(video->duration_s, 4.0, 0.05);
  ASSERT_EQ(video->frames.size(), 40u);
  for (std::size_t i = 0; i < video->frames.size(); ++i) {
    const PickedFrame& frame = video->frames[i];
    EXPECT_NEAR(frame.time_s, static_cast<double>(i) / 10.0, 0.002);
    const auto& want = original->frames[i].picture.pixels;
    ASSERT_EQ(frame.picture.pixels.size(), want.size());
    double sum = 0.0;
    for (std::size_t k = 0; k < want.size(); ++k)
      sum += std::abs(frame.picture.pixels[k] - want[k]);
    EXPECT_LE(sum / static_cast<double>(want.size()), GetParam().mean_levels) << "frame " << i;
  }
  ASSERT_TRUE(video->sound.has_value());
  EXPECT_NEAR(video->sound->start_s, 0.0, 0.03);
  EXPECT_NEAR(static_cast<double>(video->sound->samples.size()), 64000.0, 1024.0);
  const auto kind = decoder_.kind(open_or_fail(path));
  ASSERT_TRUE(kind.has_value());
  EXPECT_EQ(*kind, MediaKind::kFilm);
}
INSTANTIATE_TEST_SUITE_P(
    Common, FilmFormats,
    testing::Values(FilmFormat{"c.mov", "-c copy", 0.0}, FilmFormat{"c.mkv", "-c copy", 0.0},
                    FilmFormat{"fragments.mp4", "-c copy -movflags frag_keyframe+empty_moov", 0.0},
                    FilmFormat{"vp9.webm", "-c:v libvpx-vp9 -crf 20 -b:v 0 -c:a libopus", 6.0},
                    FilmFormat{"vp8.webm",
                               "-c:v libvpx -crf 8 -b:v 1M -auto-alt-ref 1 -lag-in-frames 16 "
                               "-c:a libvorbis",
                               6.0},
                    FilmFormat{"ten.mp4", "-c:v libx264 -pix_fmt yuv420p10le -crf 12 -c:a copy",
                               6.0},
                    FilmFormat{"full.mp4", "-c:v libx264 -pix_fmt yuv444p -crf 12 -c:a copy", 6.0}),
    [](const auto& one) {
      std::string name = one.param.name;
      std::replace(name.begin(), name.end(), '.', '_');
      return name;
    });

TEST_F(Formats, ATurnedFilmStandsUpright) {
  const auto original = decoder_.video(open_or_fail(media_path("clip.mp4")), all_frames());
  const auto path = make(golden("clip.mp4") + " -c copy -metadata:s:v rotate=90", "turned.mp4");
  const auto video = decoder_.video(open_or_fail(path), all_frames());
  ASSERT_TRUE(video.has_value()) << video.error().message;
  const RgbImage& flat = original->frames[5].picture;
  const RgbImage& tall = video->frames[5].picture;
  ASSERT_EQ(tall.width, 64u);
  ASSERT_EQ(tall.height, 96u);
  // The muxer writes the old "rotate" tag as a turn to the left or the right, by version; facts and
  // frames must agree with each other.
  const auto facts = decoder_.facts(open_or_fail(path));
  ASSERT_TRUE(facts.has_value());
  EXPECT_EQ(facts->video->width, 64u);
  EXPECT_EQ(facts->video->coded_width, 96u);
  const bool right = facts->video->rotation_degrees == 90;
  EXPECT_TRUE(right || facts->video->rotation_degrees == 270);
  const std::size_t from = right ? (63u * 96u) * 3 : 95u * 3;  // what comes to lie at the top left
  EXPECT_TRUE(std::equal(tall.pixels.begin(), tall.pixels.begin() + 3,
                         flat.pixels.begin() + static_cast<std::ptrdiff_t>(from)));
}

TEST_F(Formats, AnUnsteadyFilmIsPickedAndStampedByItsTimes) {
  // The first second keeps its ten frames, afterwards every fifth is left.
  const auto path = make(
      golden("clip.mp4") + " -an -vf \"select='lt(n,10)+not(mod(n,5))'\" -vsync vfr -c:v libx264",
      "vfr.mp4");
  VideoRequest request;
  request.mode = VideoRequest::Mode::kSpread;
  request.n_frames = 4;
  const auto video = decoder_.video(open_or_fail(path), request);
  ASSERT_TRUE(video.has_value()) << video.error().message;
  EXPECT_EQ(video->n_frames, 16u);
  EXPECT_FALSE(video->constant_rate);
  ASSERT_EQ(video->frames.size(), 4u);
  const double quarter_s = video->duration_s / 4.0;
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_LE(video->frames[i].time_s, quarter_s * static_cast<double>(i) + 1e-6);
    EXPECT_GT(video->frames[i].time_s, quarter_s * static_cast<double>(i) - 0.51);
  }
}

TEST_F(Formats, FramesAtChosenTimesComeWithTheirOwnBudgets) {
  VideoRequest request;
  request.mode = VideoRequest::Mode::kTimes;
  request.at = {{.time_s = 0.0, .budget = 140},
                {.time_s = 1.05, .budget = 70},
                {.time_s = 1.09, .budget = 280},
                {.time_s = 99.0, .budget = 140}};
  const auto video = load_video(decoder_, open_or_fail(media_path("clip.mp4")), request);
  ASSERT_TRUE(video.has_value()) << video.error().message;
  ASSERT_EQ(video->frames.size(), 3u);
  EXPECT_EQ(video->frames[0].index, 0u);
  EXPECT_EQ(video->frames[1].index, 10u);
  EXPECT_EQ(video->frames[2].index, 39u);
  EXPECT_LE(video->frames[0].image.n_tokens(), 140u);
  EXPECT_GT(video->frames[0].image.n_tokens(), 70u);
  EXPECT_GT(video->frames[1].image.n_tokens(), 140u);  // two times in one frame: the larger budget
  EXPECT_EQ(video->frames_left_out, 37u);
}

TEST_F(Formats, FactsOfAMadeFilm) {
  // 2 s black, then 3 s of a test picture between bars; a tone with half a second missing.
  const auto path = make(
      "-f lavfi -i color=black:s=320x240:r=25:d=2 -f lavfi -i testsrc2=s=320x240:r=25:d=3 "
      "-f lavfi -i \"sine=f=1000:r=48000:d=5,volume=enable='between(t,1,1.5)':volume=0,"
      "aformat=channel_layouts=stereo\" "
      "-filter_complex "
      "\"[1]pad=320:300:0:30,setsar=1[p];[0]scale=320:300,setsar=1[b];[b][p]concat=n=2[v]\" "
      "-map [v] -map 2 -c:v libx264 -pix_fmt yuv420p -c:a aac -b:a 128k -shortest",
      "made.mp4");
  const auto facts = decoder_.facts(open_or_fail(path));
  ASSERT_TRUE(facts.has_value()) << facts.error().message;
  EXPECT_TRUE(facts->decodes) << facts->decode_problem;
  EXPECT_EQ(facts->container, "mp4");
  ASSERT_TRUE(facts->video.has_value());
  const VideoFacts& video = *facts->video;
  EXPECT_EQ(video.codec, "h264");
  EXPECT_EQ(video.width, 320u);
  EXPECT_EQ(video.height, 300u);
  EXPECT_EQ(video.n_frames, 125u);
  EXPECT_NEAR(video.frames_per_s.value(), 25.0, 0.01);
  EXPECT_NEAR(video.duration_s.value(), 5.0, 0.01);
  ASSERT_EQ(video.black.size(), 1u);
  EXPECT_NEAR(video.black[0].end_s, 2.0, 0.001);
  EXPECT_TRUE(video.first_frame_black.value());
  ASSERT_EQ(video.frozen.size(), 1u);
  EXPECT_NEAR(video.frozen[0].end_s, 2.0, 0.001);
  ASSERT_EQ(video.cuts.size(), 1u);
  EXPECT_NEAR(video.cuts[0].time_s, 2.0, 0.001);
  ASSERT_TRUE(video.letterbox.has_value());
  EXPECT_NEAR(video.letterbox->top, 30u, 2);
  EXPECT_NEAR(video.letterbox->bottom, 30u, 2);
  ASSERT_TRUE(facts->sound.has_value());
  const SoundFacts& sound = *facts->sound;
  EXPECT_EQ(sound.channels, 2u);
  EXPECT_NEAR(sound.channel_difference_lu.value(), 0.0, 0.1);
  EXPECT_NEAR(sound.true_peak_dbtp.value(), -21.1, 1.5);  // 1/8 of full scale, spread over two
  ASSERT_EQ(sound.silences.size(), 1u);
  EXPECT_NEAR(sound.silences[0].start_s, 1.0, 0.05);
  EXPECT_NEAR(sound.silences[0].end_s, 1.5, 0.05);
}

}  // namespace
}  // namespace preflight::media
