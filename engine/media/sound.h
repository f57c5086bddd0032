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

/// A stretch of the source in which nothing is loud enough to be speech.
struct SampleRange {
  std::uint64_t begin = 0;  ///< samples
  std::uint64_t end = 0;    ///< one past the last
  bool operator==(const SampleRange&) const = default;
  std::uint64_t size() const { return end - begin; }
};

/// Level below which a stretch of `min_s` counts as a pause. Levels are the rms of 10 ms blocks,
/// relative to full scale.
struct PauseOptions {
  double threshold_db = -45.0;
  double min_s = 0.25;
};
std::vector<SampleRange> find_pauses(std::span<const float> samples,
                                     const PauseOptions& options = {});

/// How long sound is cut into clips.
struct SplitOptions {
  double min_s = 0.0;      ///< a pause before this much of the clip is no place to cut
  double max_s = 30.0;     ///< a clip is never longer
  double overlap_s = 1.0;  ///< shared by two clips where there was no pause to cut at
  bool drop_pauses =
      false;  ///< leave the pauses between clips out (counted), else cut in their middle
  bool cut_early = false;  ///< cut at the first fitting pause (utterances), else at the last one
  PauseOptions pauses;
};

/// Voice-over in a request: clips of at most 30 s, cut in the middle of the last pause that fits.
SplitOptions request_split();
/// The listening pass: utterances of 2 to 12 s, cut at every pause of 0.25 s or more.
SplitOptions utterance_split();

struct SoundClips {
  std::vector<AudioClip> clips;       ///< in order of time
  std::uint64_t dropped_samples = 0;  ///< silence in no clip (only with drop_pauses)
  std::uint64_t overlap_samples = 0;  ///< samples that stand in two clips
  std::uint64_t hard_cuts = 0;        ///< cuts where no pause was found
};
/// Cuts sound that is longer than `max_s` (with cut_early: any sound) into clips. `start_s` is the
/// time of the first sample in the source. Every sample is in a clip or counted as dropped.
SoundClips split_sound(std::span<const float> samples, const SplitOptions& options,
                       double start_s = 0);

}  // namespace preflight::media
