#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/media/media.h"
#include "vk/error.h"

/// From 16 kHz samples to frames and clips (docs/multimodal.md, sound).
namespace preflight::media {

/// Soft tokens of a clip: ceil(samples / 640).
std::uint64_t n_audio_frames(std::uint64_t n_samples);

/// f32 [n_audio_frames, 640], the last frame padded with zeros. Errors: kInvalidInput without
/// samples.
Result<std::vector<float>> audio_frames(std::span<const float> samples);

struct SampleRange {
  std::uint64_t begin = 0;  ///< samples
  std::uint64_t end = 0;    ///< one past the last
  bool operator==(const SampleRange&) const = default;
  std::uint64_t size() const { return end - begin; }
};

/// What counts as a pause: at least `min_s` in which the rms of every 10 ms lies `below_loud_db`
/// under the loud parts of the same sound (its 95th percentile), or under `floor_db` of full scale.
struct PauseOptions {
  double below_loud_db = 25.0;
  double floor_db = -60.0;
  double min_s = 0.25;
};
/// In order of time, in whole blocks of 10 ms; a pause that touches the end reaches it.
std::vector<SampleRange> find_pauses(std::span<const float> samples,
                                     const PauseOptions& options = {});

/// How sound is cut into clips.
struct SplitOptions {
  double min_s = 0.0;       ///< shorter clips are joined with a neighbour where that fits
  double max_s = 30.0;      ///< a clip is never longer
  double overlap_s = 1.0;   ///< shared by two clips where there was no pause to cut at
  bool utterances = false;  ///< one clip per utterance, the pauses between them left out (counted);
                            ///< else as few clips as possible, which together hold every sample
  PauseOptions pauses;
};

/// Voice-over in a request: at most 30 s a clip, cut in the middle of the last pause that fits.
SplitOptions request_split();
/// The listening pass: utterances of 2 to 12 s, cut at every pause of 0.25 s or more.
SplitOptions utterance_split();

struct SoundClips {
  std::vector<AudioClip> clips;       ///< in order of time
  std::uint64_t dropped_samples = 0;  ///< silence in no clip (only of utterances)
  std::uint64_t overlap_samples = 0;  ///< samples that stand in two clips
  std::uint64_t hard_cuts = 0;        ///< cuts where no pause was found
};
/// Cuts sound that is longer than `max_s` (with cut_early: any sound) into clips. `start_s` is the
/// time of the first sample in the source. Every sample is in a clip or counted as dropped.
SoundClips split_sound(std::span<const float> samples, const SplitOptions& options,
                       double start_s = 0);

}  // namespace preflight::media
