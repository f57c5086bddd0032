#include "engine/media/sound.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace preflight::media {
namespace {

constexpr std::uint64_t kBlock = kSampleRate / 100;     // 10 ms
constexpr std::uint64_t kKeptPause = kSampleRate / 10;  // around an utterance, for soft onsets
constexpr double kSilentDb = -200.0;                    // stands for the level of exact zeros

std::uint64_t seconds_to_samples(double seconds) {
  return static_cast<std::uint64_t>(std::max(seconds, 0.0) * kSampleRate);
}

double block_level_db(std::span<const float> block) {
  double sum = 0.0;
  for (const float x : block) sum += static_cast<double>(x) * static_cast<double>(x);
  const double mean = sum / static_cast<double>(block.size());
  return mean > 0.0 ? std::max(10.0 * std::log10(mean), kSilentDb) : kSilentDb;
}

AudioClip clip_of(std::span<const float> samples, SampleRange range, double start_s) {
  const auto part = samples.subspan(range.begin, range.size());
  return {.samples = std::vector<float>(part.begin(), part.end()),
          .start_s = start_s + static_cast<double>(range.begin) / kSampleRate,
          .n_frames = n_audio_frames(part.size())};
}

/// The stretches between the pauses, each with a little of the pause on both sides.
std::vector<SampleRange> loud_stretches(std::uint64_t n_samples,
                                        std::span<const SampleRange> pauses) {
  std::vector<SampleRange> stretches;
  std::uint64_t begin = 0;
  const auto add = [&](std::uint64_t end) {
    if (end > begin) stretches.push_back({.begin = begin, .end = end});
  };
  for (const SampleRange& pause : pauses) {
    const std::uint64_t kept = std::min(kKeptPause, pause.size() / 2);
    if (pause.begin > 0) add(pause.begin + kept);
    begin = pause.end == n_samples ? n_samples : pause.end - kept;
  }
  add(n_samples);
  return stretches;
}

/// Joins what is too short with a neighbour where the sum still fits, across the shortest pause
/// first: words that were said together stay together, and a long pause stays a border.
std::vector<SampleRange> join_short(std::vector<SampleRange> stretches, std::uint64_t min_samples,
                                    std::uint64_t max_samples) {
  const auto joins = [&](std::size_t i) {
    const SampleRange& left = stretches[i];
    const SampleRange& right = stretches[i + 1];
    return std::min(left.size(), right.size()) < min_samples &&
           right.end - left.begin <= max_samples;
  };
  const auto pause = [&](std::size_t i) { return stretches[i + 1].begin - stretches[i].end; };
  for (;;) {
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i + 1 < stretches.size(); ++i) {
      if (joins(i) && (!best || pause(i) < pause(*best))) best = i;
    }
    if (!best) return stretches;
    stretches[*best].end = stretches[*best + 1].end;
    stretches.erase(stretches.begin() + static_cast<std::ptrdiff_t>(*best) + 1);
  }
}

/// Adds `range` in pieces of at most `max_samples` which share `overlap` samples.
void add_hard_cut(std::span<const float> samples, SampleRange range, std::uint64_t max_samples,
                  std::uint64_t overlap, double start_s, SoundClips& out) {
  while (range.size() > max_samples) {
    const std::uint64_t end = range.begin + max_samples;
    out.clips.push_back(clip_of(samples, {.begin = range.begin, .end = end}, start_s));
    range.begin = end - overlap;
    out.overlap_samples += overlap;
    ++out.hard_cuts;
  }
  out.clips.push_back(clip_of(samples, range, start_s));
}

SoundClips split_utterances(std::span<const float> samples, const SplitOptions& options,
                            std::span<const SampleRange> pauses, double start_s) {
  const std::uint64_t max_samples = std::max(seconds_to_samples(options.max_s), kBlock);
  const std::uint64_t overlap = std::min(seconds_to_samples(options.overlap_s), max_samples / 2);
  const auto stretches = join_short(loud_stretches(samples.size(), pauses),
                                    seconds_to_samples(options.min_s), max_samples);
  SoundClips out;
  std::uint64_t covered = 0;
  for (const SampleRange& stretch : stretches) {
    covered += stretch.size();
    add_hard_cut(samples, stretch, max_samples, overlap, start_s, out);
  }
  out.dropped_samples = samples.size() - covered;
  return out;
}

SoundClips split_whole(std::span<const float> samples, const SplitOptions& options,
                       std::span<const SampleRange> pauses, double start_s) {
  const std::uint64_t max_samples = std::max(seconds_to_samples(options.max_s), kBlock);
  const std::uint64_t min_samples =
      std::max(seconds_to_samples(options.min_s), std::uint64_t{kAudioFrame});
  const std::uint64_t overlap = std::min(seconds_to_samples(options.overlap_s), max_samples / 2);
  SoundClips out;
  std::uint64_t begin = 0;
  while (samples.size() - begin > max_samples) {
    // The last pause whose middle fits; on the border of a frame, so that no clip but the last is
    // padded in the midst of the sound.
    std::uint64_t cut = 0;
    for (const SampleRange& pause : pauses) {
      const std::uint64_t middle = pause.begin + pause.size() / 2;
      if (middle < begin + min_samples) continue;
      const std::uint64_t aligned = begin + (middle - begin) / kAudioFrame * kAudioFrame;
      if (aligned <= begin + max_samples) cut = aligned;
    }
    std::uint64_t next = cut;
    if (cut == 0) {
      cut = begin + max_samples;
      next = cut - overlap;
      out.overlap_samples += overlap;
      ++out.hard_cuts;
    }
    out.clips.push_back(clip_of(samples, {.begin = begin, .end = cut}, start_s));
    begin = next;
  }
  out.clips.push_back(clip_of(samples, {.begin = begin, .end = samples.size()}, start_s));
  return out;
}

}  // namespace

std::uint64_t n_audio_frames(std::uint64_t n_samples) {
  return n_samples / kAudioFrame + (n_samples % kAudioFrame != 0 ? 1 : 0);
}

Result<std::vector<float>> audio_frames(std::span<const float> samples) {
  if (samples.empty()) return fail(ErrorCode::kInvalidInput, "the sound has not a single sample");
  std::vector<float> frames(samples.begin(), samples.end());
  frames.resize(n_audio_frames(samples.size()) * kAudioFrame, 0.0f);
  return frames;
}

std::vector<SampleRange> find_pauses(std::span<const float> samples, const PauseOptions& options) {
  std::vector<double> levels_db;
  levels_db.reserve(samples.size() / kBlock + 1);
  for (std::uint64_t begin = 0; begin < samples.size(); begin += kBlock) {
    const auto size = std::min<std::uint64_t>(kBlock, samples.size() - begin);
    levels_db.push_back(block_level_db(samples.subspan(begin, size)));
  }
  if (levels_db.empty()) return {};

  std::vector<double> sorted = levels_db;
  const auto loud = sorted.begin() + static_cast<std::ptrdiff_t>((sorted.size() - 1) * 95 / 100);
  std::nth_element(sorted.begin(), loud, sorted.end());
  const double threshold_db = std::max(*loud - options.below_loud_db, options.floor_db);

  const std::uint64_t min_samples = seconds_to_samples(options.min_s);
  std::vector<SampleRange> pauses;
  std::uint64_t begin = 0;
  bool quiet = false;
  for (std::size_t i = 0; i <= levels_db.size(); ++i) {
    const bool now_quiet = i < levels_db.size() && levels_db[i] < threshold_db;
    if (now_quiet && !quiet) begin = i * kBlock;
    if (!now_quiet && quiet) {
      const std::uint64_t end = std::min<std::uint64_t>(i * kBlock, samples.size());
      if (end - begin >= min_samples) pauses.push_back({.begin = begin, .end = end});
    }
    quiet = now_quiet;
  }
  return pauses;
}

SplitOptions request_split() { return {}; }

SplitOptions utterance_split() {
  SplitOptions options;
  options.min_s = 2.0;
  options.max_s = 12.0;
  options.utterances = true;
  return options;
}

SoundClips split_sound(std::span<const float> samples, const SplitOptions& options,
                       double start_s) {
  if (samples.empty()) return {};
  const auto pauses = find_pauses(samples, options.pauses);
  return options.utterances ? split_utterances(samples, options, pauses, start_s)
                            : split_whole(samples, options, pauses, start_s);
}

}  // namespace preflight::media
