#include "engine/media/sound.h"

#include <cmath>
#include <numbers>
#include <utility>

#include <gtest/gtest.h>

namespace preflight::media {
namespace {

/// Tone (true) and silence (false) of the given lengths.
std::vector<float> pattern(const std::vector<std::pair<bool, double>>& parts) {
  std::vector<float> samples;
  for (const auto& [loud, seconds] : parts) {
    const auto n = static_cast<std::size_t>(seconds * kSampleRate);
    for (std::size_t i = 0; i < n; ++i) {
      const double angle = 2.0 * std::numbers::pi * 300.0 * static_cast<double>(i) / kSampleRate;
      samples.push_back(loud ? static_cast<float>(0.3 * std::sin(angle)) : 0.0f);
    }
  }
  return samples;
}

TEST(AudioFrames, CountIsTheCeiling) {
  for (const auto& [samples, frames] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
           {1, 1}, {639, 1}, {640, 1}, {641, 2}, {480000, 750}, {480001, 751}, {960000, 1500}}) {
    EXPECT_EQ(n_audio_frames(samples), frames);
  }
}

TEST(AudioFrames, LastOneIsPaddedWithZeros) {
  const std::vector<float> samples(641, 0.5f);
  const auto frames = audio_frames(samples);
  ASSERT_TRUE(frames.has_value());
  ASSERT_EQ(frames->size(), 1280u);
  EXPECT_EQ(frames->at(640), 0.5f);
  for (std::size_t i = 641; i < 1280; ++i) EXPECT_EQ(frames->at(i), 0.0f);
}

TEST(AudioFrames, NoSamplesAreRefused) { EXPECT_FALSE(audio_frames({}).has_value()); }

TEST(Pauses, AreFoundFromAQuarterSecondOn) {
  const auto samples = pattern({{true, 1.0}, {false, 0.2}, {true, 1.0}, {false, 0.3}, {true, 1.0}});
  const auto pauses = find_pauses(samples);
  ASSERT_EQ(pauses.size(), 1u);
  EXPECT_EQ(pauses[0], (SampleRange{.begin = 35200, .end = 40000}));
}

TEST(Pauses, AreFoundAboveTheNoiseOfAQuietRoom) {
  auto samples = pattern({{true, 2.0}, {false, 0.5}, {true, 2.0}});
  for (std::size_t i = 0; i < samples.size(); ++i) {
    samples[i] += (i % 2 == 0 ? 0.004f : -0.004f);  // -48 dB, 35 dB below the tone
  }
  EXPECT_EQ(find_pauses(samples).size(), 1u);
}

TEST(Pauses, ASteadyToneHasNone) { EXPECT_TRUE(find_pauses(pattern({{true, 5.0}})).empty()); }

/// Every sample of the source is in a clip, and every clip is a piece of the source at its time.
void expect_whole(const std::vector<float>& source, const SoundClips& split) {
  std::uint64_t covered = 0;
  for (const AudioClip& clip : split.clips) {
    const auto begin = static_cast<std::uint64_t>(std::llround(clip.start_s * kSampleRate));
    ASSERT_LE(begin, covered);
    ASSERT_LE(begin + clip.samples.size(), source.size());
    EXPECT_TRUE(std::equal(clip.samples.begin(), clip.samples.end(),
                           source.begin() + static_cast<std::ptrdiff_t>(begin)));
    EXPECT_EQ(clip.n_frames, n_audio_frames(clip.samples.size()));
    covered = begin + clip.samples.size();
  }
  EXPECT_EQ(covered, source.size());
}

TEST(SplitSound, HalfAMinuteStaysWhole) {
  const auto samples = pattern({{true, 14.0}, {false, 1.0}, {true, 15.0}});
  const SoundClips split = split_sound(samples, request_split());
  ASSERT_EQ(split.clips.size(), 1u);
  EXPECT_EQ(split.clips[0].n_frames, 750u);
}

TEST(SplitSound, LongSoundIsCutInTheLastPauseThatFits) {
  const auto samples =
      pattern({{true, 10.0}, {false, 1.0}, {true, 14.0}, {false, 1.0}, {true, 20.0}});
  const SoundClips split = split_sound(samples, request_split());
  ASSERT_EQ(split.clips.size(), 2u);
  EXPECT_NEAR(split.clips[1].start_s, 25.5, 0.05);
  EXPECT_EQ(split.hard_cuts, 0u);
  EXPECT_EQ(split.overlap_samples, 0u);
  EXPECT_EQ(split.clips[0].samples.size() % kAudioFrame, 0u);
  expect_whole(samples, split);
}

TEST(SplitSound, WithoutAPauseClipsOverlapByASecond) {
  const auto samples = pattern({{true, 70.0}});
  const SoundClips split = split_sound(samples, request_split());
  ASSERT_EQ(split.clips.size(), 3u);
  EXPECT_EQ(split.clips[0].samples.size(), 480000u);
  EXPECT_DOUBLE_EQ(split.clips[1].start_s, 29.0);
  EXPECT_DOUBLE_EQ(split.clips[2].start_s, 58.0);
  EXPECT_EQ(split.hard_cuts, 2u);
  EXPECT_EQ(split.overlap_samples, 32000u);
  expect_whole(samples, split);
}

TEST(SplitSound, UtterancesAreTwoToTwelveSecondsAndThePausesAreCounted) {
  const auto samples = pattern({{false, 1.0},
                                {true, 3.0},
                                {false, 0.5},
                                {true, 1.0},  // too short: joined with the next
                                {false, 0.4},
                                {true, 2.5},
                                {false, 2.0},
                                {true, 25.0},  // no pause: cut hard
                                {false, 1.0}});
  const SoundClips split = split_sound(samples, utterance_split(), 100.0);
  std::uint64_t in_clips = 0;
  for (const AudioClip& clip : split.clips) {
    const double seconds = static_cast<double>(clip.samples.size()) / kSampleRate;
    EXPECT_GE(seconds, 2.0);
    EXPECT_LE(seconds, 12.0);
    in_clips += clip.samples.size();
  }
  ASSERT_EQ(split.clips.size(), 5u);
  EXPECT_NEAR(split.clips[0].start_s, 100.9, 0.02);
  EXPECT_EQ(split.hard_cuts, 2u);
  EXPECT_EQ(split.overlap_samples, 32000u);
  EXPECT_EQ(in_clips - split.overlap_samples + split.dropped_samples, samples.size());
}

TEST(SplitSound, ShortWordsStayWithTheNearestAndLongPausesStayBorders) {
  const auto samples = pattern({{true, 1.5},
                                {false, 0.3},
                                {true, 1.0},
                                {false, 3.0},
                                {true, 1.0},
                                {false, 0.3},
                                {true, 1.5}});
  const SoundClips split = split_sound(samples, utterance_split());
  ASSERT_EQ(split.clips.size(), 2u);
  EXPECT_NEAR(split.clips[0].start_s, 0.0, 0.02);
  EXPECT_NEAR(split.clips[1].start_s, 5.7, 0.02);  // 0.1 s of the pause goes with the words
  EXPECT_NEAR(static_cast<double>(split.clips[0].samples.size()) / kSampleRate, 2.9, 0.02);
}

TEST(SplitSound, SilenceAloneHasNoUtterance) {
  const auto samples = pattern({{false, 5.0}});
  const SoundClips split = split_sound(samples, utterance_split());
  EXPECT_TRUE(split.clips.empty());
  EXPECT_EQ(split.dropped_samples, samples.size());
}

}  // namespace
}  // namespace preflight::media
