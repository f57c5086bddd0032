#include <algorithm>
#include <array>
#include <map>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/media/decoder/av.h"
#include "engine/media/decoder/av_film.h"
#include "engine/media/decoder/av_picture.h"
#include "engine/media/decoder/exif.h"
#include "engine/media/decoder/jobs.h"
#include "engine/media/film.h"
#include "engine/media/image.h"

namespace preflight::media {
namespace {

/// Frame index to the budget it is wanted at; the larger one where two times meet in a frame.
using Picks = std::map<std::uint64_t, std::uint32_t>;

Picks pick(const FilmTimes& film, const VideoRequest& request) {
  const FilmFrames frames{
      .times_s = film.times_s, .duration_s = film.duration_s, .constant_rate = film.constant_rate};
  Picks picks;
  if (request.mode == VideoRequest::Mode::kTimes) {
    for (const VideoRequest::At& at : request.at) {
      const std::uint64_t index = pick_at_times(film.times_s, std::array{at.time_s}).front();
      std::uint32_t& budget = picks[index];
      budget = std::max(budget, at.budget);
    }
    return picks;
  }
  const auto indices = request.mode == VideoRequest::Mode::kSpread
                           ? pick_spread(frames, request.n_frames)
                           : pick_default(frames);
  for (const std::uint64_t index : indices) picks[index] = request.budget;
  return picks;
}

Result<PickedFrame> finish_frame(const AVFrame& frame, std::uint32_t orientation,
                                 std::uint32_t budget) {
  PREFLIGHT_TRY(RgbImage picture, frame_to_rgb(frame));
  PickedFrame out;
  out.picture = upright(std::move(picture), orientation);
  out.source_width = out.picture.width;
  out.source_height = out.picture.height;
  if (budget > 0) {
    PREFLIGHT_TRY(const Size target,
                  target_size({.width = out.picture.width, .height = out.picture.height}, budget));
    out.picture = resize(out.picture, target);
  }
  return out;
}

/// One decoding of the whole film.
struct Decoding {
  std::vector<PickedFrame> frames;  ///< times not filled in yet
  std::vector<std::int64_t> ticks;  ///< of all frames, in the order shown
  std::int64_t last_length = 0;
  std::uint64_t n_broken = 0;
};

Result<Decoding> decode_picks(Container& container, AVStream& stream, const DecodeLimits& limits,
                              const Picks& picks) {
  PREFLIGHT_TRY(CodecPtr codec, open_codec(stream, limits));
  StreamDecoder decoder(std::move(codec));
  const std::uint32_t orientation = orientation_of(stream);
  const PacketPtr packet(av_packet_alloc());
  const FramePtr frame(av_frame_alloc());
  if (!packet || !frame) return fail(ErrorCode::kOutOfMemory, "could not be decoded: no memory");

  Decoding out;
  const auto take = [&](const AVFrame& one) -> Result<void> {
    const std::uint64_t index = out.ticks.size();
    out.ticks.push_back(one.best_effort_timestamp);
    out.last_length = length_of(one);
    const auto wanted = picks.find(index);
    if (wanted == picks.end()) return {};
    PREFLIGHT_TRY(PickedFrame picked, finish_frame(one, orientation, wanted->second));
    picked.index = index;
    out.frames.push_back(std::move(picked));
    return {};
  };
  bool broke_off = false;
  while (read_packet(container, *packet, broke_off)) {
    if (packet->stream_index != stream.index) continue;
    PREFLIGHT_TRY_VOID(decoder.feed(packet.get(), *frame, take));
  }
  PREFLIGHT_TRY_VOID(decoder.feed(nullptr, *frame, take));
  out.n_broken = decoder.n_broken() + (broke_off ? 1 : 0);
  return out;
}

struct OpenFilm {
  std::unique_ptr<Container> container;
  AVStream* stream = nullptr;
};

Result<OpenFilm> open_film(const Input& input) {
  OpenFilm film;
  PREFLIGHT_TRY(film.container, Container::open(input, "film"));
  film.stream = film.container->first(AVMEDIA_TYPE_VIDEO);
  if (film.stream == nullptr) {
    return fail(ErrorCode::kInvalidInput, "is not a film: it has no picture track");
  }
  film.container->keep_only({film.stream});
  return film;
}

/// Frames that the container lists, but the file does not hold any more.
std::uint64_t n_cut_off(const AVStream& stream, std::uint64_t n_packets) {
  const auto listed = static_cast<std::uint64_t>(std::max<std::int64_t>(stream.nb_frames, 0));
  return listed > n_packets ? listed - n_packets : 0;
}

}  // namespace

Result<DecodedVideo> decode_video(const Input& input, const DecodeLimits& limits,
                                  const VideoRequest& request) {
  PREFLIGHT_TRY(OpenFilm film, open_film(input));
  PREFLIGHT_TRY_VOID(open_codec(*film.stream, limits).map([](const CodecPtr&) {}));
  DecodedVideo out;
  out.has_sound_track = film.container->first(AVMEDIA_TYPE_AUDIO) != nullptr;
  PREFLIGHT_TRY(FilmTimes times, read_film_times(*film.container, *film.stream, limits.video_s));
  if (times.times_s.empty()) {
    return fail(ErrorCode::kInvalidInput, "has a picture track without a single frame");
  }
  out.broken_frames = n_cut_off(*film.stream, times.times_s.size() + times.n_hidden);

  // The packets tell how many frames to expect. Where decoding yields another number (hidden or
  // broken frames), the picks are made anew from what was truly shown.
  Decoding decoding;
  for (int round = 0;; ++round) {
    PREFLIGHT_TRY(film, open_film(input));
    PREFLIGHT_TRY(decoding,
                  decode_picks(*film.container, *film.stream, limits, pick(times, request)));
    if (decoding.ticks.empty()) {
      return fail(ErrorCode::kInvalidInput, "has a picture track of which no frame can be decoded");
    }
    const bool as_expected = decoding.ticks.size() == times.times_s.size();
    if (as_expected || round > 0) break;
    times = film_times(decoding.ticks, decoding.last_length, *film.stream);
  }
  for (PickedFrame& frame : decoding.frames) frame.time_s = times.times_s.at(frame.index);
  out.frames = std::move(decoding.frames);
  out.n_frames = decoding.ticks.size();
  out.broken_frames += decoding.n_broken;
  out.duration_s = times.duration_s;
  out.constant_rate = times.constant_rate;
  out.frames_per_s = times.frames_per_s;
  if (request.sound && out.has_sound_track) {
    PREFLIGHT_TRY(out.sound, decode_sound_track(input, limits));
  }
  return out;
}

}  // namespace preflight::media
