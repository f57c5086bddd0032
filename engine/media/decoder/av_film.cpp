#include "engine/media/decoder/av_film.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "engine/media/decoder/protocol.h"

namespace preflight::media {
namespace {

constexpr double kUnknownRate = 24.0;

double stated_rate(const AVStream& stream) {
  for (const AVRational rate : {stream.avg_frame_rate, stream.r_frame_rate}) {
    if (rate.num > 0 && rate.den > 0) return av_q2d(rate);
  }
  return kUnknownRate;
}

/// Steady within the two ticks that rounding to the time base can make, or 5 % of a frame.
bool is_steady(const std::vector<std::int64_t>& ticks) {
  std::int64_t shortest = INT64_MAX;
  std::int64_t longest = 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    shortest = std::min(shortest, ticks[i] - ticks[i - 1]);
    longest = std::max(longest, ticks[i] - ticks[i - 1]);
  }
  if (ticks.size() < 3) return true;
  return static_cast<double>(longest - shortest) <=
         std::max(2.0, 0.05 * static_cast<double>(longest));
}

}  // namespace

FilmTimes film_times(std::vector<std::int64_t> ticks, std::int64_t last_length,
                     const AVStream& stream) {
  FilmTimes film;
  const bool known = std::find(ticks.begin(), ticks.end(), AV_NOPTS_VALUE) == ticks.end();
  if (!known || ticks.empty() || stream.time_base.num <= 0 || stream.time_base.den <= 0) {
    film.frames_per_s = stated_rate(stream);
    for (std::size_t i = 0; i < ticks.size(); ++i) {
      film.times_s.push_back(static_cast<double>(i) / film.frames_per_s);
    }
    film.duration_s = static_cast<double>(ticks.size()) / film.frames_per_s;
    return film;
  }
  std::sort(ticks.begin(), ticks.end());
  // Multiplied before it is divided: whole seconds come out whole, so stamps do not slip back.
  const auto to_seconds = [&](std::int64_t n) {
    return static_cast<double>(n) * stream.time_base.num / stream.time_base.den;
  };
  for (const std::int64_t tick : ticks) film.times_s.push_back(to_seconds(tick - ticks.front()));
  const std::int64_t span = ticks.back() - ticks.front();
  if (ticks.size() > 1 && span > 0) {
    film.frames_per_s = static_cast<double>(ticks.size() - 1) / to_seconds(span);
  } else {
    film.frames_per_s = stated_rate(stream);
  }
  film.constant_rate = is_steady(ticks);
  film.duration_s =
      film.times_s.back() + (last_length > 0 ? to_seconds(last_length) : 1.0 / film.frames_per_s);
  return film;
}

Result<FilmTimes> read_film_times(Container& container, const AVStream& stream, double max_s) {
  if (container.duration_s() > max_s) {
    return fail(ErrorCode::kLimit, fmt::format("runs for {:.0f} s; at most {:.0f} s are read",
                                               container.duration_s(), max_s));
  }
  const PacketPtr packet(av_packet_alloc());
  if (!packet) return fail(ErrorCode::kOutOfMemory, "could not be decoded: no memory");
  std::vector<std::int64_t> ticks;
  std::int64_t last_tick = INT64_MIN;
  std::int64_t last_length = 0;
  std::uint64_t n_hidden = 0;
  bool broke_off = false;
  while (read_packet(container, *packet, broke_off)) {
    if (packet->stream_index != stream.index) continue;
    if ((packet->flags & AV_PKT_FLAG_DISCARD) != 0) {
      ++n_hidden;
      continue;
    }
    if (ticks.size() == kMaxFilmFrames) {
      return fail(ErrorCode::kLimit, fmt::format("has more than {} frames", kMaxFilmFrames));
    }
    ticks.push_back(packet->pts);
    if (packet->pts != AV_NOPTS_VALUE && packet->pts > last_tick) {
      last_tick = packet->pts;
      last_length = packet->duration;
    }
  }
  FilmTimes film = film_times(std::move(ticks), last_length, stream);
  film.n_hidden = n_hidden;
  if (film.duration_s > max_s) {
    return fail(ErrorCode::kLimit, fmt::format("runs for {:.0f} s; at most {:.0f} s are read",
                                               film.duration_s, max_s));
  }
  return film;
}

}  // namespace preflight::media
