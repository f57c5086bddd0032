#include "engine/media/decoder/facts_film.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

extern "C" {
#include <libavutil/pixdesc.h>
}

#include <fmt/format.h>

#include "engine/media/decoder/av.h"
#include "engine/media/decoder/av_film.h"
#include "engine/media/decoder/av_picture.h"
#include "engine/media/decoder/av_sound.h"
#include "engine/media/decoder/picture_meter.h"
#include "engine/media/decoder/protocol.h"
#include "engine/media/decoder/sound_meter.h"

namespace preflight::media {
namespace {

constexpr std::size_t kMaxListedStreams = 32;

std::string kind_name(AVMediaType type) {
  switch (type) {
    case AVMEDIA_TYPE_VIDEO:
      return "video";
    case AVMEDIA_TYPE_AUDIO:
      return "sound";
    case AVMEDIA_TYPE_SUBTITLE:
      return "subtitle";
    case AVMEDIA_TYPE_DATA:
      return "data";
    default:
      return "other";
  }
}

double seconds_of(std::int64_t ticks, const AVStream& stream) {
  return static_cast<double>(ticks) * stream.time_base.num / std::max(stream.time_base.den, 1);
}

std::optional<std::uint64_t> rate_of(std::uint64_t bytes, std::optional<double> duration_s) {
  if (!duration_s || !(*duration_s > 0.0)) return std::nullopt;
  return static_cast<std::uint64_t>(std::llround(static_cast<double>(bytes) * 8.0 / *duration_s));
}

int rotation_of(std::uint32_t orientation) {
  switch (orientation) {
    case 3:
    case 4:
      return 180;
    case 5:
    case 6:
      return 90;
    case 7:
    case 8:
      return 270;
    default:
      return 0;
  }
}

/// The picture track as it is decoded.
class PictureTrack {
 public:
  static Result<PictureTrack> create(Container& container, AVStream& stream,
                                     const DecodeLimits& limits) {
    PREFLIGHT_TRY(CodecPtr codec, open_codec(stream, limits));
    return PictureTrack(container, stream, std::move(codec));
  }

  Result<void> feed(const AVPacket* packet, AVFrame& frame) {
    if (packet != nullptr) {
      n_bytes_ += static_cast<std::uint64_t>(std::max(packet->size, 0));
      ++n_packets_;
      if (ticks_.size() > kMaxFilmFrames) {
        return fail(ErrorCode::kLimit, fmt::format("has more than {} frames", kMaxFilmFrames));
      }
    }
    return decoder_.feed(packet, frame, [&](const AVFrame& one) { return take(one); });
  }

  std::uint64_t n_broken() const { return decoder_.n_broken(); }
  std::uint64_t n_missing() const {
    const auto listed = static_cast<std::uint64_t>(std::max<std::int64_t>(stream_.nb_frames, 0));
    return listed > n_packets_ ? listed - n_packets_ : 0;
  }
  double start_s() const { return first_tick_ ? seconds_of(*first_tick_, stream_) : 0.0; }

  Result<VideoFacts> finish() {
    const FilmTimes times = film_times(ticks_, last_length_, stream_);
    const std::uint32_t orientation = orientation_of(stream_);
    const AVCodecContext& codec = decoder_.codec();
    const AVRational aspect = av_guess_sample_aspect_ratio(&container_.format(), &stream_, nullptr);
    VideoFacts facts;
    facts.codec = avcodec_get_name(codec.codec_id);
    if (const char* profile = avcodec_profile_name(codec.codec_id, codec.profile)) {
      facts.profile = profile;
    }
    if (const char* format = av_get_pix_fmt_name(codec.pix_fmt)) facts.pixel_format = format;
    facts.coded_width = static_cast<std::uint32_t>(std::max(codec.width, 0));
    facts.coded_height = static_cast<std::uint32_t>(std::max(codec.height, 0));
    facts.width = orientation >= 5 ? facts.coded_height : facts.coded_width;
    facts.height = orientation >= 5 ? facts.coded_width : facts.coded_height;
    facts.rotation_degrees = rotation_of(orientation);
    if (aspect.num > 0 && aspect.den > 0) {
      facts.sample_aspect_num = static_cast<std::uint32_t>(aspect.num);
      facts.sample_aspect_den = static_cast<std::uint32_t>(aspect.den);
    }
    facts.n_frames = ticks_.size();
    if (ticks_.empty()) return facts;
    facts.frames_per_s = times.frames_per_s;
    facts.constant_rate = times.constant_rate;
    facts.duration_s = times.duration_s;
    facts.bits_per_s = rate_of(n_bytes_, facts.duration_s);
    PREFLIGHT_TRY_VOID(meter_.finish(times.duration_s, orientation, facts));
    return facts;
  }

 private:
  PictureTrack(Container& container, AVStream& stream, CodecPtr codec)
      : container_(container), stream_(stream), decoder_(std::move(codec)) {}

  Result<void> take(const AVFrame& frame) {
    const std::int64_t tick = frame.best_effort_timestamp;
    if (tick != AV_NOPTS_VALUE && !first_tick_) first_tick_ = tick;
    ticks_.push_back(tick);
    last_length_ = length_of(frame);
    double time_s = last_time_s_;
    if (tick != AV_NOPTS_VALUE) time_s = std::max(seconds_of(tick - *first_tick_, stream_), time_s);
    last_time_s_ = time_s;
    return meter_.push(frame, time_s);
  }

  Container& container_;
  AVStream& stream_;
  StreamDecoder decoder_;
  PictureMeter meter_;
  std::vector<std::int64_t> ticks_;
  std::optional<std::int64_t> first_tick_;
  double last_time_s_ = 0;
  std::int64_t last_length_ = 0;
  std::uint64_t n_bytes_ = 0;
  std::uint64_t n_packets_ = 0;
};

/// The sound track as it is decoded.
class SoundTrack {
 public:
  static Result<SoundTrack> create(AVStream& stream, const DecodeLimits& limits) {
    PREFLIGHT_TRY(CodecPtr codec, open_codec(stream, limits));
    return SoundTrack(stream, limits, std::move(codec));
  }

  Result<void> feed(const AVPacket* packet, AVFrame& frame) {
    if (packet != nullptr) n_bytes_ += static_cast<std::uint64_t>(std::max(packet->size, 0));
    return decoder_.feed(packet, frame, [&](const AVFrame& one) { return take(one); });
  }

  std::uint64_t n_broken() const { return decoder_.n_broken(); }

  Result<SoundFacts> finish(double film_start_s) {
    SoundFacts facts;
    if (meter_) {
      PREFLIGHT_TRY(facts, meter_->finish(start_s_ - film_start_s));
    }
    facts.codec = avcodec_get_name(decoder_.codec().codec_id);
    facts.rate_hz = rate_hz_;
    facts.channels = n_channels_;
    if (!meter_) return facts;
    if (stream_.duration != AV_NOPTS_VALUE && stream_.duration > 0) {
      facts.duration_s = seconds_of(stream_.duration, stream_);
    } else {
      facts.duration_s = static_cast<double>(meter_->n_samples()) / rate_hz_;
    }
    facts.bits_per_s = rate_of(n_bytes_, facts.duration_s);
    return facts;
  }

 private:
  SoundTrack(AVStream& stream, const DecodeLimits& limits, CodecPtr codec)
      : stream_(stream), limits_(limits), decoder_(std::move(codec)) {}

  Result<void> take(const AVFrame& frame) {
    const auto rate_hz = static_cast<std::uint32_t>(std::max(frame.sample_rate, 0));
    const auto n_channels = static_cast<std::uint32_t>(std::max(frame.ch_layout.nb_channels, 0));
    if (rate_hz == 0 || n_channels == 0) {
      return fail(ErrorCode::kInvalidInput, "has a sound track without a rate or channels");
    }
    if (!meter_) {
      rate_hz_ = rate_hz;
      n_channels_ = n_channels;
      PREFLIGHT_TRY(meter_, SoundMeter::create(rate_hz, frame.ch_layout));
      if (frame.best_effort_timestamp != AV_NOPTS_VALUE) {
        start_s_ = seconds_of(frame.best_effort_timestamp, stream_);
      }
    }
    if (rate_hz != rate_hz_ || n_channels != n_channels_) {
      return fail(ErrorCode::kUnsupported,
                  "has a sound track that changes its rate or its channels on the way");
    }
    PREFLIGHT_TRY_VOID(interleave(frame, FloatSamples::kKeep, values_));
    // What a decoder hands out past the stated end is padding of the last packet.
    std::size_t kept = values_.size();
    if (stream_.duration != AV_NOPTS_VALUE && stream_.duration > 0) {
      const auto stated = static_cast<std::uint64_t>(
          std::llround(seconds_of(stream_.duration, stream_) * rate_hz_));
      const std::uint64_t left = stated - std::min(stated, meter_->n_samples());
      kept = static_cast<std::size_t>(std::min<std::uint64_t>(kept, left * n_channels_));
    }
    PREFLIGHT_TRY_VOID(meter_->push(std::span(values_).first(kept)));
    if (static_cast<double>(meter_->n_samples()) / rate_hz_ > limits_.sound_s) {
      return fail(ErrorCode::kLimit,
                  fmt::format("has more than {:.0f} s of sound, the longest that "
                              "is read",
                              limits_.sound_s));
    }
    return {};
  }

  AVStream& stream_;
  const DecodeLimits& limits_;
  StreamDecoder decoder_;
  std::optional<SoundMeter> meter_;
  std::vector<float> values_;
  std::uint32_t rate_hz_ = 0;
  std::uint32_t n_channels_ = 0;
  double start_s_ = 0;
  std::uint64_t n_bytes_ = 0;
};

void list_streams(Container& container, MediaFacts& facts) {
  AVFormatContext& format = container.format();
  for (unsigned i = 0; i < format.nb_streams && facts.streams.size() < kMaxListedStreams; ++i) {
    const AVCodecParameters& parameters = *format.streams[i]->codecpar;
    facts.streams.push_back(
        {.kind = kind_name(parameters.codec_type), .codec = avcodec_get_name(parameters.codec_id)});
  }
}

void judge(std::uint64_t n_broken, std::uint64_t n_missing, bool broke_off, MediaFacts& facts) {
  facts.broken_packets = n_broken + n_missing;
  facts.decodes = n_broken == 0 && n_missing == 0 && !broke_off;
  if (n_missing > 0) {
    facts.decode_problem = fmt::format("breaks off: its last {} frames are missing", n_missing);
  } else if (n_broken > 0) {
    facts.decode_problem = fmt::format("has {} packets that cannot be decoded", n_broken);
  } else if (broke_off) {
    facts.decode_problem = "breaks off before its end";
  }
}

}  // namespace

Result<MediaFacts> measure_film(const Input& input, const DecodeLimits& limits,
                                std::string container_name) {
  MediaFacts facts;
  facts.container = std::move(container_name);
  facts.size_bytes = input.size_bytes();
  auto opened = Container::open(input, "film");
  if (!opened.has_value()) {
    if (opened.error().code != ErrorCode::kInvalidInput) return tl::unexpected(opened.error());
    facts.decode_problem = opened.error().message;
    return facts;
  }
  Container& container = **opened;
  list_streams(container, facts);
  if (container.duration_s() > limits.video_s) {
    return fail(ErrorCode::kLimit, fmt::format("runs for {:.0f} s; at most {:.0f} s are read",
                                               container.duration_s(), limits.video_s));
  }
  if (container.duration_s() >= 0.0) facts.duration_s = container.duration_s();
  facts.bits_per_s = rate_of(facts.size_bytes, facts.duration_s);

  AVStream* pictures = container.first(AVMEDIA_TYPE_VIDEO);
  AVStream* sound = container.first(AVMEDIA_TYPE_AUDIO);
  if (pictures == nullptr && sound == nullptr) {
    facts.decode_problem = "has neither a picture track nor a sound track";
    return facts;
  }
  container.keep_only({pictures, sound});
  std::optional<PictureTrack> picture_track;
  std::optional<SoundTrack> sound_track;
  if (pictures != nullptr) {
    PREFLIGHT_TRY(PictureTrack track, PictureTrack::create(container, *pictures, limits));
    picture_track.emplace(std::move(track));
  }
  if (sound != nullptr) {
    PREFLIGHT_TRY(SoundTrack track, SoundTrack::create(*sound, limits));
    sound_track.emplace(std::move(track));
  }

  const PacketPtr packet(av_packet_alloc());
  const FramePtr frame(av_frame_alloc());
  if (!packet || !frame) return fail(ErrorCode::kOutOfMemory, "could not be decoded: no memory");
  bool broke_off = false;
  while (read_packet(container, *packet, broke_off)) {
    if (picture_track && packet->stream_index == pictures->index) {
      PREFLIGHT_TRY_VOID(picture_track->feed(packet.get(), *frame));
    } else if (sound_track && packet->stream_index == sound->index) {
      PREFLIGHT_TRY_VOID(sound_track->feed(packet.get(), *frame));
    }
  }
  std::uint64_t n_broken = 0;
  std::uint64_t n_missing = 0;
  if (picture_track) {
    PREFLIGHT_TRY_VOID(picture_track->feed(nullptr, *frame));
    n_broken += picture_track->n_broken();
    n_missing = picture_track->n_missing();
    PREFLIGHT_TRY(facts.video, picture_track->finish());
  }
  if (sound_track) {
    PREFLIGHT_TRY_VOID(sound_track->feed(nullptr, *frame));
    n_broken += sound_track->n_broken();
    PREFLIGHT_TRY(facts.sound, sound_track->finish(picture_track ? picture_track->start_s() : 0.0));
  }
  judge(n_broken, n_missing, broke_off, facts);
  return facts;
}

}  // namespace preflight::media
