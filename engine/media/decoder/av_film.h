#pragma once

#include <cstdint>
#include <vector>

extern "C" {
#include <libavformat/avformat.h>
}

#include "engine/media/decoder/av.h"

namespace preflight::media {

/// When the frames of a film are shown, the first at 0.
struct FilmTimes {
  std::vector<double> times_s;
  double duration_s = 0;    ///< end of the last frame
  double frames_per_s = 0;  ///< average; 24 where nothing can be known
  bool constant_rate = true;
  std::uint64_t n_hidden = 0;  ///< frames that an edit list takes away; not among the times
};

/// From presentation times in ticks (any order; AV_NOPTS_VALUE where unknown) and the length of the
/// last frame in ticks (0 when unknown). Films without times run at the stream's average rate.
FilmTimes film_times(std::vector<std::int64_t> ticks, std::int64_t last_length,
                     const AVStream& stream);

/// Reads all packets of the stream, decodes nothing. Frames that an edit list hides are not
/// counted. Errors: kLimit past kMaxFilmFrames or max_s.
Result<FilmTimes> read_film_times(Container& container, const AVStream& stream, double max_s);

}  // namespace preflight::media
