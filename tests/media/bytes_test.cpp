// What the child knows without a codec library: kinds of files, orientation, the meters.

#include <cmath>
#include <numbers>
#include <random>
#include <string_view>

#include <gtest/gtest.h>

#include "engine/media/decoder/exif.h"
#include "engine/media/decoder/picture_meter.h"
#include "engine/media/decoder/sniff.h"
#include "engine/media/decoder/sound_meter.h"

namespace preflight::media {
namespace {

using namespace std::string_view_literals;

FileKind kind_of(std::string_view bytes) {
  return sniff({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

TEST(Sniff, KnowsWhatPeopleSendByMistake) {
  EXPECT_EQ(kind_of(""), FileKind::kEmpty);
  EXPECT_EQ(kind_of("\0\0\0\0\0\0\0\0"sv), FileKind::kZeros);
  EXPECT_EQ(kind_of("Your 8am is about to get easier.\n"), FileKind::kText);
  EXPECT_EQ(kind_of("Gr\xc3\xbc\xc3\x9f\x65"), FileKind::kText);
  EXPECT_EQ(kind_of("BM is how this text begins"), FileKind::kText);
  EXPECT_EQ(kind_of("<!DOCTYPE html><html>"), FileKind::kHtml);
  EXPECT_EQ(kind_of("\n{\"error\": \"not found\"}"), FileKind::kJson);
  EXPECT_EQ(kind_of("%PDF-1.7"), FileKind::kPdf);
  EXPECT_EQ(kind_of("PK\3\4rest"), FileKind::kZip);
  EXPECT_EQ(kind_of("GIF89a"), FileKind::kGif);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0WEBPVP8 "sv), FileKind::kWebp);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0WAVEfmt "sv), FileKind::kWav);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0AVI LIST"sv), FileKind::kAvi);
  EXPECT_EQ(kind_of("\0\0\0\x18"
                    "ftypheic"sv),
            FileKind::kHeif);
  EXPECT_EQ(kind_of("\0\0\0\x18"
                    "ftypisom"sv),
            FileKind::kIsoMedia);
  EXPECT_EQ(kind_of("\xff\xfb\x90\x00rest"sv), FileKind::kMp3);
  EXPECT_EQ(kind_of("\xff\xf1\x50\x80rest"sv), FileKind::kAac);
  EXPECT_EQ(kind_of("\x01\x02\x03\xff\xfe"sv), FileKind::kUnknown);
}

std::vector<std::uint8_t> exif_block(bool big_endian, std::uint16_t orientation) {
  const auto u16 = [&](std::uint16_t value) {
    const auto high = static_cast<std::uint8_t>(value >> 8);
    const auto low = static_cast<std::uint8_t>(value);
    return big_endian ? std::vector<std::uint8_t>{high, low} : std::vector<std::uint8_t>{low, high};
  };
  std::vector<std::uint8_t> block = {'E', 'x', 'i', 'f', 0, 0};
  const auto add = [&](const std::vector<std::uint8_t>& bytes) {
    block.insert(block.end(), bytes.begin(), bytes.end());
  };
  add(big_endian ? std::vector<std::uint8_t>{'M', 'M'} : std::vector<std::uint8_t>{'I', 'I'});
  add(u16(42));
  add(big_endian ? std::vector<std::uint8_t>{0, 0, 0, 8} : std::vector<std::uint8_t>{8, 0, 0, 0});
  add(u16(1));
  add(u16(0x0112));
  add(u16(3));
  add(big_endian ? std::vector<std::uint8_t>{0, 0, 0, 1} : std::vector<std::uint8_t>{1, 0, 0, 0});
  add(u16(orientation));
  add({0, 0});
  return block;
}

TEST(Exif, ReadsOrientationInBothByteOrders) {
  for (std::uint16_t orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(exif_orientation(exif_block(true, orientation)), orientation);
    EXPECT_EQ(exif_orientation(exif_block(false, orientation)), orientation);
  }
  EXPECT_EQ(exif_orientation(exif_block(true, 0)), 1u);
  EXPECT_EQ(exif_orientation(exif_block(true, 9)), 1u);
}

TEST(Exif, ADamagedBlockIsNoOrientationAndNoCrash) {
  const auto whole = exif_block(true, 6);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::uint32_t found = exif_orientation(std::span(whole).first(n));
    EXPECT_TRUE(found == 1 || found == 6) << n;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    auto block = whole;
    block[random() % block.size()] = static_cast<std::uint8_t>(random());
    const std::uint32_t found = exif_orientation(block);
    EXPECT_TRUE(found >= 1 && found <= 8);
  }
}

TEST(Exif, EveryOrientationComesUpright) {
  // The upright picture: 3 wide, 2 high, values 1..6 in red.
  //   1 2 3
  //   4 5 6
  const auto stored = [](std::uint32_t width, std::vector<std::uint8_t> reds) {
    RgbImage image{
        .width = width, .height = static_cast<std::uint32_t>(reds.size()) / width, .pixels = {}};
    for (const std::uint8_t red : reds) image.pixels.insert(image.pixels.end(), {red, 0, 0});
    return image;
  };
  const std::vector<RgbImage> by_orientation = {
      stored(3, {1, 2, 3, 4, 5, 6}), stored(3, {3, 2, 1, 6, 5, 4}), stored(3, {6, 5, 4, 3, 2, 1}),
      stored(3, {4, 5, 6, 1, 2, 3}), stored(2, {1, 4, 2, 5, 3, 6}), stored(2, {3, 6, 2, 5, 1, 4}),
      stored(2, {6, 3, 5, 2, 4, 1}), stored(2, {4, 1, 5, 2, 6, 3})};
  for (std::uint32_t orientation = 1; orientation <= 8; ++orientation) {
    const RgbImage out = upright(by_orientation[orientation - 1], orientation);
    EXPECT_EQ(out.width, 3u) << orientation;
    EXPECT_EQ(out.pixels, by_orientation[0].pixels) << orientation;
  }
}

LumaPlane luma(std::uint8_t value, std::uint32_t seed = 0) {
  LumaPlane plane{.width = 64, .height = 48, .full_range = false, .pixels = {}};
  std::mt19937 random(seed);
  for (std::size_t i = 0; i < 64 * 48; ++i) {
    plane.pixels.push_back(seed == 0 ? value : static_cast<std::uint8_t>(60 + random() % 150));
  }
  return plane;
}

TEST(PictureMeter, FindsBlackFrozenAndCuts) {
  PictureMeter meter;
  double time_s = 0.0;
  const auto show = [&](const LumaPlane& plane, int n) {
    for (int i = 0; i < n; ++i, time_s += 0.1) meter.push(plane, time_s);
  };
  show(luma(16), 5);     // black for half a second
  show(luma(0, 1), 20);  // a still picture for two seconds
  show(luma(0, 2), 5);   // a cut to another, too short to be frozen
  for (std::uint32_t i = 0; i < 10; ++i) show(luma(0, 100 + i), 1);  // wild motion: no cuts
  VideoFacts facts;
  meter.finish(time_s, 1, facts);
  ASSERT_TRUE(facts.first_frame_black.has_value());
  EXPECT_TRUE(*facts.first_frame_black);
  ASSERT_EQ(facts.black.size(), 1u);
  EXPECT_NEAR(facts.black[0].start_s, 0.0, 1e-9);
  EXPECT_NEAR(facts.black[0].end_s, 0.5, 1e-9);
  ASSERT_EQ(facts.frozen.size(), 1u);
  EXPECT_NEAR(facts.frozen[0].start_s, 0.5, 1e-9);
  EXPECT_NEAR(facts.frozen[0].end_s, 2.5, 1e-9);
  ASSERT_GE(facts.cuts.size(), 2u);
  EXPECT_NEAR(facts.cuts[0].time_s, 0.5, 1e-9);
  EXPECT_NEAR(facts.cuts[1].time_s, 2.5, 1e-9);
  EXPECT_LE(facts.cuts.size(), 3u);
}

TEST(PictureMeter, FindsBarsAndTurnsThemWithThePicture) {
  const auto with_bars = [](std::uint32_t seed) {
    LumaPlane plane = luma(0, seed);
    for (std::size_t y = 0; y < 48; ++y) {
      for (std::size_t x = 0; x < 64; ++x) {
        if (y < 6 || y >= 46 || x < 3) plane.pixels[y * 64 + x] = 16;
      }
    }
    return plane;
  };
  for (const std::uint32_t orientation : {1u, 3u, 6u, 8u}) {
    PictureMeter meter;
    meter.push(luma(16), 0.0);  // a black frame says nothing about bars
    for (std::uint32_t i = 1; i < 5; ++i) meter.push(with_bars(i), 0.1 * i);
    VideoFacts facts;
    meter.finish(0.5, orientation, facts);
    ASSERT_TRUE(facts.letterbox.has_value());
    const Letterbox& b = *facts.letterbox;
    const std::vector<std::uint32_t> found = {b.top, b.right, b.bottom, b.left};
    const auto expected = [&]() -> std::vector<std::uint32_t> {
      switch (orientation) {
        case 3:
          return {2, 3, 6, 0};
        case 6:
          return {3, 6, 0, 2};  // a quarter turn to the right: the left side is on top
        case 8:
          return {0, 2, 3, 6};
        default:
          return {6, 0, 2, 3};
      }
    }();
    EXPECT_EQ(found, expected) << orientation;
  }
}

TEST(PictureMeter, AnAllBlackFilmHasNoBars) {
  PictureMeter meter;
  for (int i = 0; i < 10; ++i) meter.push(luma(16), 0.1 * i);
  VideoFacts facts;
  meter.finish(1.0, 1, facts);
  EXPECT_FALSE(facts.letterbox.has_value());
  ASSERT_EQ(facts.black.size(), 1u);
  EXPECT_NEAR(facts.black[0].end_s, 1.0, 1e-9);
}

std::vector<float> stereo_sine(std::uint32_t rate_hz, double frequency_hz, double seconds,
                               double left, double right, double phase = 0.0) {
  std::vector<float> samples;
  const auto n = static_cast<std::size_t>(seconds * rate_hz);
  for (std::size_t i = 0; i < n; ++i) {
    const double x =
        std::sin(2.0 * std::numbers::pi * frequency_hz * static_cast<double>(i) / rate_hz + phase);
    samples.push_back(static_cast<float>(left * x));
    samples.push_back(static_cast<float>(right * x));
  }
  return samples;
}

double amplitude(double db) { return std::pow(10.0, db / 20.0); }

SoundFacts measure(std::uint32_t rate_hz, std::uint32_t n_channels,
                   const std::vector<float>& samples) {
  SoundMeter meter(rate_hz, n_channels);
  meter.push(samples);
  SoundFacts facts;
  meter.finish(0.0, facts);
  return facts;
}

class LoudnessRates : public testing::TestWithParam<std::uint32_t> {};

// EBU Tech 3341, cases 1 and 2: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS, at -33 -33.
TEST_P(LoudnessRates, AStereoSineReadsItsLevel) {
  for (const double level_db : {-23.0, -33.0}) {
    const double a = amplitude(level_db);
    const SoundFacts facts = measure(GetParam(), 2, stereo_sine(GetParam(), 1000.0, 20.0, a, a));
    EXPECT_NEAR(facts.integrated_lufs.value(), level_db, 0.1);
    EXPECT_NEAR(facts.momentary_max_lufs.value(), level_db, 0.1);
    EXPECT_NEAR(facts.short_term_max_lufs.value(), level_db, 0.1);
    EXPECT_NEAR(facts.loudness_range_lu.value(), 0.0, 0.1);
    EXPECT_NEAR(facts.true_peak_dbtp.value(), level_db, 0.2);
    EXPECT_NEAR(facts.channel_difference_lu.value(), 0.0, 0.01);
    EXPECT_TRUE(facts.channels_identical.value());
  }
}
INSTANTIATE_TEST_SUITE_P(Rates, LoudnessRates, testing::Values(16000, 44100, 48000, 96000));

// EBU Tech 3341, case 3: -36, -23 and -36 dBFS for 10, 60 and 10 s read -23 through the gate.
TEST(Loudness, QuietPartsAreGatedOut) {
  std::vector<float> samples;
  for (const auto& [level_db, seconds] :
       std::vector<std::pair<double, double>>{{-36.0, 10.0}, {-23.0, 60.0}, {-36.0, 10.0}}) {
    const auto part = stereo_sine(48000, 1000.0, seconds, amplitude(level_db), amplitude(level_db));
    samples.insert(samples.end(), part.begin(), part.end());
  }
  EXPECT_NEAR(measure(48000, 2, samples).integrated_lufs.value(), -23.0, 0.1);
}

// EBU Tech 3342, case 1: -20 and -30 dBFS for 20 s each have a range of 10 LU.
TEST(Loudness, RangeIsTheDistanceOfLoudAndQuiet) {
  auto samples = stereo_sine(48000, 1000.0, 20.0, amplitude(-20.0), amplitude(-20.0));
  const auto quiet = stereo_sine(48000, 1000.0, 20.0, amplitude(-30.0), amplitude(-30.0));
  samples.insert(samples.end(), quiet.begin(), quiet.end());
  EXPECT_NEAR(measure(48000, 2, samples).loudness_range_lu.value(), 10.0, 1.0);
}

// EBU Tech 3341, case 17: a quarter of the rate, samples 3 dB below the true peak.
TEST(Loudness, TruePeakLiesBetweenTheSamples) {
  const auto samples = stereo_sine(48000, 12000.0, 1.0, 0.5, 0.5, std::numbers::pi / 4.0);
  const SoundFacts facts = measure(48000, 2, samples);
  EXPECT_NEAR(facts.sample_peak_dbfs.value(), -9.03, 0.01);
  EXPECT_NEAR(facts.true_peak_dbtp.value(), -6.02, 0.3);
}

TEST(SoundMeter, SilenceHasNoLoudnessButALength) {
  std::vector<float> samples = stereo_sine(48000, 440.0, 1.0, 0.5, 0.5);
  samples.resize(samples.size() + 2 * 48000, 0.0f);
  const SoundFacts facts = measure(48000, 2, samples);
  ASSERT_EQ(facts.silences.size(), 1u);
  EXPECT_NEAR(facts.silences[0].start_s, 1.0, 0.01);
  EXPECT_NEAR(facts.silences[0].end_s, 2.0, 1e-9);
  EXPECT_NEAR(facts.silent_s, 1.0, 0.01);
  const SoundFacts nothing = measure(48000, 2, std::vector<float>(96000, 0.0f));
  EXPECT_FALSE(nothing.integrated_lufs.has_value());
  EXPECT_FALSE(nothing.true_peak_dbtp.has_value());
}

TEST(SoundMeter, CountsRunsAtFullScale) {
  std::vector<float> mono(1000, 0.1f);
  for (const std::size_t at : {100u, 101u, 102u, 103u, 500u, 501u}) mono[at] = 1.0f;
  for (const std::size_t at : {700u, 701u, 702u}) mono[at] = -1.0f;
  mono[703] = 1.0f;  // the other side: not the same run
  const SoundFacts facts = measure(16000, 1, mono);
  EXPECT_EQ(facts.clipped_runs, 2u);
  EXPECT_EQ(facts.clipped_samples, 7u);
  EXPECT_NEAR(facts.dc_offset.value(), 0.1, 0.01);
}

TEST(SoundMeter, OneSidedStereoShows) {
  const SoundFacts facts = measure(48000, 2, stereo_sine(48000, 1000.0, 3.0, 0.4, 0.1));
  EXPECT_NEAR(facts.channel_difference_lu.value(), 12.04, 0.05);
  EXPECT_FALSE(facts.channels_identical.value());
}

}  // namespace
}  // namespace preflight::media
