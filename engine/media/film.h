#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Which frames of a film are looked at, and the text that stands before each (docs/multimodal.md,
/// films).
namespace preflight::media {

inline constexpr std::uint32_t kDefaultFilmFrames = 32;
inline constexpr std::uint32_t kMaxRateFrames = 60;  ///< rate mode: one a second, at most these

/// floor(i * total / wanted) for i = 0 .. wanted-1; all frames where there are fewer than wanted.
std::vector<std::uint64_t> pick_evenly(std::uint64_t total, std::uint64_t wanted);

/// The frame shown at each of `times_s` (the last one that begins at or before it; the first frame
/// for earlier times). `frame_times_s` ascending and not empty. Equal picks are merged.
std::vector<std::uint64_t> pick_at_times(std::span<const double> frame_times_s,
                                         std::span<const double> times_s);

/// What `preflight` does when nothing else is asked: 32 frames of a film shorter than 32 s, else
/// one a second, and 60 spread over one longer than a minute. Films with a steady rate are picked
/// by integer index, others by the times at which the frames are shown.
struct FilmFrames {
  std::span<const double> times_s;  ///< of all frames, ascending, first = 0
  double duration_s = 0;            ///< end of the last frame
  bool constant_rate = true;
};
std::vector<std::uint64_t> pick_default(const FilmFrames& film);
/// `wanted` frames spread over the film.
std::vector<std::uint64_t> pick_spread(const FilmFrames& film, std::uint64_t wanted);

/// "01:07": minutes (two digits at least, never wrapped to hours) and seconds, both truncated.
std::string frame_stamp(double time_s);

}  // namespace preflight::media
