#include "engine/media/film.h"

#include <algorithm>

#include <fmt/format.h>

#include "vk/error.h"

namespace preflight::media {

std::vector<std::uint64_t> pick_evenly(std::uint64_t total, std::uint64_t wanted) {
  const std::uint64_t n = std::min(total, wanted);
  std::vector<std::uint64_t> picked;
  picked.reserve(n);
  // i * (total / n) + i * (total % n) / n is floor(i * total / n) without an overflow of the
  // product.
  for (std::uint64_t i = 0; i < n; ++i) picked.push_back(i * (total / n) + i * (total % n) / n);
  return picked;
}

std::vector<std::uint64_t> pick_at_times(std::span<const double> frame_times_s,
                                         std::span<const double> times_s) {
  PREFLIGHT_ASSERT(!frame_times_s.empty());
  std::vector<std::uint64_t> picked;
  picked.reserve(times_s.size());
  for (const double time_s : times_s) {
    const auto after = std::upper_bound(frame_times_s.begin(), frame_times_s.end(), time_s);
    const auto index = after == frame_times_s.begin() ? 0 : after - frame_times_s.begin() - 1;
    picked.push_back(static_cast<std::uint64_t>(index));
  }
  std::sort(picked.begin(), picked.end());
  picked.erase(std::unique(picked.begin(), picked.end()), picked.end());
  return picked;
}

std::vector<std::uint64_t> pick_spread(const FilmFrames& film, std::uint64_t wanted) {
  const std::uint64_t total = film.times_s.size();
  if (film.constant_rate || wanted >= total) return pick_evenly(total, wanted);
  std::vector<double> times_s;
  times_s.reserve(wanted);
  for (std::uint64_t i = 0; i < wanted; ++i) {
    times_s.push_back(film.duration_s * static_cast<double>(i) / static_cast<double>(wanted));
  }
  return pick_at_times(film.times_s, times_s);
}

std::vector<std::uint64_t> pick_default(const FilmFrames& film) {
  if (film.duration_s < static_cast<double>(kDefaultFilmFrames)) {
    return pick_spread(film, kDefaultFilmFrames);
  }
  // Past a minute, sixty frames still cover the film to its end.
  if (film.duration_s > static_cast<double>(kMaxRateFrames)) {
    return pick_spread(film, kMaxRateFrames);
  }
  std::vector<double> times_s;
  for (double second = 0; second < film.duration_s; second += 1.0) times_s.push_back(second);
  return pick_at_times(film.times_s, times_s);
}

std::string frame_stamp(double time_s) {
  const auto seconds = static_cast<std::uint64_t>(std::max(time_s, 0.0));
  return fmt::format("{:02}:{:02}", seconds / 60, seconds % 60);
}

}  // namespace preflight::media
