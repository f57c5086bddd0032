// Sounds whose figures are known: the test signals of EBU Tech 3341 and 3342, silences, clipped
// runs.

#include "engine/media/decoder/sound_meter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>
#include <vector>

extern "C" {
#include <libavutil/log.h>
}

#include <gtest/gtest.h>

namespace preflight::media {
namespace {

double amplitude(double db) { return std::pow(10.0, db / 20.0); }

/// The same sine on all channels, each at a level of its own.
std::vector<float> sine(std::uint32_t rate_hz, double frequency_hz, double seconds,
                        const std::vector<double>& amplitudes, double phase = 0.0) {
  std::vector<float> samples;
  const auto n = static_cast<std::size_t>(std::llround(seconds * rate_hz));
  for (std::size_t i = 0; i < n; ++i) {
    const double x =
        std::sin(2.0 * std::numbers::pi * frequency_hz * static_cast<double>(i) / rate_hz + phase);
    for (const double a : amplitudes) samples.push_back(static_cast<float>(a * x));
  }
  return samples;
}

/// Stereo that rises and falls: a sudden start or end rings above the tone.
std::vector<float> faded(std::vector<float> samples, std::size_t n_fade) {
  for (std::size_t i = 0; i < n_fade; ++i) {
    const float gain = static_cast<float>(i / 2 * 2) / static_cast<float>(n_fade);
    samples[i] *= gain;
    samples[samples.size() - 1 - i] *= gain;
  }
  return samples;
}

std::vector<float> stereo(double level_db, double seconds) {
  return sine(48000, 1000.0, seconds, {amplitude(level_db), amplitude(level_db)});
}

std::vector<float> joined(const std::vector<std::vector<float>>& parts) {
  std::vector<float> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// In blocks of an odd length, as decoders hand them out.
SoundFacts measure(std::uint32_t rate_hz, const AVChannelLayout& layout,
                   const std::vector<float>& samples, double start_s = 0.0) {
  av_log_set_level(AV_LOG_QUIET);
  auto meter = SoundMeter::create(rate_hz, layout);
  EXPECT_TRUE(meter.has_value()) << meter.error().message;
  const std::size_t block = 1001 * static_cast<std::size_t>(layout.nb_channels);
  for (std::size_t at = 0; at < samples.size(); at += block) {
    const std::size_t n = std::min(block, samples.size() - at);
    EXPECT_TRUE(meter->push(std::span(samples).subspan(at, n)).has_value());
  }
  auto facts = meter->finish(start_s);
  EXPECT_TRUE(facts.has_value()) << facts.error().message;
  return *facts;
}

SoundFacts measure(std::uint32_t rate_hz, std::uint32_t n_channels,
                   const std::vector<float>& samples) {
  return measure(rate_hz, usual_layout(n_channels), samples);
}

class LoudnessRates : public testing::TestWithParam<std::uint32_t> {};

// EBU Tech 3341, cases 1 and 2: a stereo sine of 1 kHz at -23 dBFS reads -23 LUFS, at -33 -33.
TEST_P(LoudnessRates, AStereoSineReadsItsLevel) {
  for (const double level_db : {-23.0, -33.0}) {
    const double a = amplitude(level_db);
    const SoundFacts facts =
        measure(GetParam(), 2, faded(sine(GetParam(), 1000.0, 10.0, {a, a}), GetParam() / 10));
    EXPECT_NEAR(facts.integrated_lufs.value(), level_db, 0.1);
    EXPECT_NEAR(facts.momentary_max_lufs.value(), level_db, 0.1);
    EXPECT_NEAR(facts.short_term_max_lufs.value(), level_db, 0.1);
    EXPECT_NEAR(facts.loudness_range_lu.value(), 0.0, 0.1);
    EXPECT_NEAR(facts.true_peak_dbtp.value(), level_db, 0.2);
    EXPECT_NEAR(facts.sample_peak_dbfs.value(), level_db, 0.2);
    EXPECT_NEAR(facts.channel_difference_lu.value(), 0.0, 0.01);
    EXPECT_NEAR(facts.dc_offset.value(), 0.0, 1e-4);
    EXPECT_TRUE(facts.channels_identical.value());
  }
}
INSTANTIATE_TEST_SUITE_P(Rates, LoudnessRates,
                         testing::Values(6000, 8000, 16000, 44100, 48000, 96000));

// EBU Tech 3341, case 3: -36, -23 and -36 dBFS for 10, 60 and 10 s read -23 through the gate.
TEST(Loudness, QuietPartsAreGatedOut) {
  const auto samples = joined({stereo(-36.0, 10.0), stereo(-23.0, 60.0), stereo(-36.0, 10.0)});
  EXPECT_NEAR(measure(48000, 2, samples).integrated_lufs.value(), -23.0, 0.1);
}

// Case 4: two more parts at -72 dBFS, below the absolute gate, change nothing.
TEST(Loudness, TheAbsoluteGateHolds) {
  const auto samples = joined({stereo(-72.0, 10.0), stereo(-36.0, 10.0), stereo(-23.0, 60.0),
                               stereo(-36.0, 10.0), stereo(-72.0, 10.0)});
  EXPECT_NEAR(measure(48000, 2, samples).integrated_lufs.value(), -23.0, 0.1);
}

// Case 6: 5.0 with -28 dBFS left and right, -24 in the centre and -30 in the surrounds.
TEST(Loudness, SurroundsCountMoreAndLowFrequenciesNothing) {
  const double front = amplitude(-28.0);
  const double centre = amplitude(-24.0);
  const double back = amplitude(-30.0);
  const auto five = sine(48000, 1000.0, 20.0, {front, front, centre, back, back});
  const AVChannelLayout side = AV_CHANNEL_LAYOUT_5POINT0;
  EXPECT_NEAR(measure(48000, side, five).integrated_lufs.value(), -23.0, 0.1);
  EXPECT_NEAR(measure(48000, 5, five).integrated_lufs.value(), -23.0, 0.1);
  const auto six = sine(48000, 1000.0, 20.0, {front, front, centre, 0.9, back, back});
  EXPECT_NEAR(measure(48000, 6, six).integrated_lufs.value(), -23.0, 0.1);
}

// EBU Tech 3342, case 1: -20 and -30 dBFS for 20 s each have a range of 10 LU.
TEST(Loudness, RangeIsTheDistanceOfLoudAndQuiet) {
  const auto samples = joined({stereo(-20.0, 20.0), stereo(-30.0, 20.0)});
  EXPECT_NEAR(measure(48000, 2, samples).loudness_range_lu.value(), 10.0, 1.0);
}

// EBU Tech 3341, case 17: a quarter of the rate, samples 3 dB below the true peak.
TEST(Loudness, TruePeakLiesBetweenTheSamples) {
  const auto samples = faded(sine(48000, 12000.0, 1.0, {0.5, 0.5}, std::numbers::pi / 4.0), 4800);
  const SoundFacts facts = measure(48000, 2, samples);
  EXPECT_NEAR(facts.sample_peak_dbfs.value(), -9.03, 0.01);
  EXPECT_NEAR(facts.true_peak_dbtp.value(), -6.02, 0.4);
}

TEST(Loudness, AQuietPeakIsToldAsFinelyAsALoudOne) {
  EXPECT_NEAR(measure(48000, 2, stereo(-63.3, 1.0)).true_peak_dbtp.value(), -63.3, 0.05);
}

TEST(Loudness, WhatIsTooShortForAWindowIsNotGuessed) {
  const SoundFacts blink = measure(48000, 2, stereo(-23.0, 0.05));
  EXPECT_FALSE(blink.integrated_lufs.has_value());
  EXPECT_FALSE(blink.momentary_max_lufs.has_value());
  EXPECT_NEAR(blink.sample_peak_dbfs.value(), -23.0, 0.1);
  EXPECT_NEAR(blink.true_peak_dbtp.value(), -23.0, 0.3);
  EXPECT_FALSE(measure(48000, 2, stereo(-23.0, 0.39)).integrated_lufs.has_value());
  const SoundFacts word = measure(48000, 2, stereo(-23.0, 0.5));
  EXPECT_NEAR(word.integrated_lufs.value(), -23.0, 0.1);
  EXPECT_NEAR(word.momentary_max_lufs.value(), -23.0, 0.1);
  EXPECT_FALSE(word.short_term_max_lufs.has_value());
  EXPECT_FALSE(word.loudness_range_lu.has_value());
  EXPECT_EQ(measure(48000, 1, {0.5f}).sample_peak_dbfs.value(), -6.0206);
  EXPECT_FALSE(measure(48000, 1, {}).dc_offset.has_value());
}

TEST(SoundMeter, FindsSilencesToTheEnd) {
  const std::vector<float> pause(96000 * 3 / 10, 0.003f);  // 0.3 s at -50.5 dBFS
  const std::vector<float> breath(96000 / 5, 0.0f);        // 0.2 s, too short
  const std::vector<float> rest(96000 * 2, 0.0f);
  const auto tone = sine(48000, 440.0, 1.0, {0.5, 0.5}, 1.0);
  const auto samples = joined({tone, pause, tone, breath, tone, rest});
  const SoundFacts facts = measure(48000, usual_layout(2), samples, 0.25);
  ASSERT_EQ(facts.silences.size(), 2u);
  EXPECT_NEAR(facts.silences[0].start_s, 1.25, 1e-4);
  EXPECT_NEAR(facts.silences[0].end_s, 1.55, 1e-4);
  EXPECT_NEAR(facts.silences[1].start_s, 3.75, 1e-4);
  EXPECT_NEAR(facts.silences[1].end_s, 5.75, 1e-4);
  EXPECT_NEAR(facts.silent_s, 2.3, 1e-3);
}

TEST(SoundMeter, OneLoudChannelIsNoSilence) {
  std::vector<float> samples;
  for (int i = 0; i < 48000; ++i) samples.insert(samples.end(), {0.0f, 0.1f});
  EXPECT_TRUE(measure(48000, 2, samples).silences.empty());
}

TEST(SoundMeter, NothingButSilenceHasNoLevels) {
  const SoundFacts facts = measure(48000, 2, std::vector<float>(192000, 0.0f));
  EXPECT_FALSE(facts.integrated_lufs.has_value());
  EXPECT_FALSE(facts.momentary_max_lufs.has_value());
  EXPECT_FALSE(facts.short_term_max_lufs.has_value());
  EXPECT_FALSE(facts.loudness_range_lu.has_value());
  EXPECT_FALSE(facts.true_peak_dbtp.has_value());
  EXPECT_FALSE(facts.sample_peak_dbfs.has_value());
  EXPECT_EQ(facts.channel_difference_lu.value(), 0.0);
  ASSERT_EQ(facts.silences.size(), 1u);
  EXPECT_EQ(facts.silences[0].start_s, 0.0);
  EXPECT_EQ(facts.silences[0].end_s, 2.0);
}

TEST(SoundMeter, CountsRunsAtFullScale) {
  std::vector<float> mono(1000, 0.1f);
  for (const std::size_t at : {100u, 101u, 102u, 103u, 500u, 501u}) mono[at] = 1.0f;
  for (const std::size_t at : {700u, 701u, 702u}) mono[at] = -1.0f;
  mono[703] = 1.0f;  // the other side: not the same run
  for (const std::size_t at : {997u, 998u, 999u}) mono[at] = 1.0f;
  const SoundFacts facts = measure(16000, 1, mono);
  EXPECT_EQ(facts.clipped_runs, 3u);
  EXPECT_EQ(facts.clipped_samples, 10u);
  EXPECT_EQ(facts.sample_peak_dbfs.value(), 0.0);
  EXPECT_FALSE(facts.channels_identical.has_value());
}

TEST(SoundMeter, TellsTheLargestOffset) {
  std::vector<float> samples = sine(48000, 1000.0, 1.0, {0.1, 0.1});
  for (std::size_t i = 0; i < samples.size(); i += 2) {
    samples[i] += 0.01f;
    samples[i + 1] -= 0.02f;
  }
  EXPECT_NEAR(measure(48000, 2, samples).dc_offset.value(), -0.02, 1e-5);
}

TEST(SoundMeter, OneSidedStereoShows) {
  const SoundFacts facts = measure(48000, 2, sine(48000, 1000.0, 3.0, {0.4, 0.1}));
  EXPECT_NEAR(facts.channel_difference_lu.value(), 12.04, 0.05);
  EXPECT_FALSE(facts.channels_identical.value());
  const SoundFacts left_only = measure(48000, 2, sine(48000, 1000.0, 3.0, {0.1, 0.0}));
  EXPECT_NEAR(left_only.channel_difference_lu.value(), 47.0, 0.1);  // -23 dB against the floor
}

TEST(SoundMeter, CountsWhatIsNoNumberAndMeasuresTheRest) {
  auto meter = SoundMeter::create(48000, usual_layout(1));
  ASSERT_TRUE(meter.has_value());
  auto samples = sine(48000, 1000.0, 1.0, {0.1});
  samples[10] = std::numeric_limits<float>::quiet_NaN();
  samples[20] = std::numeric_limits<float>::infinity();
  ASSERT_TRUE(meter->push(samples).has_value());
  EXPECT_EQ(meter->n_not_numbers(), 2u);
  EXPECT_NEAR(meter->finish(0.0)->sample_peak_dbfs.value(), -20.0, 0.1);
}

TEST(SoundMeter, ManyChannelsHaveAllButLoudness) {
  for (const std::uint32_t n_channels : {12u, 64u}) {
    const SoundFacts facts =
        measure(48000, n_channels, sine(48000, 1000.0, 1.0, std::vector<double>(n_channels, 0.1)));
    EXPECT_FALSE(facts.integrated_lufs.has_value());
    EXPECT_NEAR(facts.sample_peak_dbfs.value(), -20.0, 0.1);
    EXPECT_NEAR(facts.true_peak_dbtp.value(), -20.0, 0.1);
  }
}

TEST(SoundMeter, RefusesRatesAndChannelsOfNoRecorder) {
  EXPECT_EQ(SoundMeter::create(400000, usual_layout(2)).error().message,
            "has sound of 400000 samples a second; 1000 to 384000 are read");
  EXPECT_EQ(SoundMeter::create(48000, usual_layout(65)).error().message,
            "has 65 channels of sound; 1 to 64 are read");
  EXPECT_TRUE(SoundMeter::create(1000, usual_layout(2)).has_value());
  EXPECT_TRUE(SoundMeter::create(384000, usual_layout(8)).has_value());
}

}  // namespace
}  // namespace preflight::media
