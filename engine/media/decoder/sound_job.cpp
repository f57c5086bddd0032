#include <algorithm>
#include <cmath>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/media/decoder/av.h"
#include "engine/media/decoder/av_sound.h"
#include "engine/media/decoder/jobs.h"
#include "engine/media/decoder/sound_file.h"
#include "engine/media/decoder/sound_sink.h"

namespace preflight::media {
namespace {

/// A jump of the presentation times by more than this is filled with silence, so that what follows
/// keeps its place.
constexpr double kGap_s = 0.1;

Result<DecodedSound> decode_sound_file(const Input& input, const DecodeLimits& limits) {
  std::optional<SoundSink> sink;
  SoundFileInfo about;
  std::vector<float> values;
  PREFLIGHT_TRY(
      const std::uint64_t n_samples,
      read_sound_file(
          input,
          [&](const SoundFileInfo& info) -> Result<void> {
            about = info;
            PREFLIGHT_TRY(sink, SoundSink::create(info.rate_hz, info.channels, limits.sound_s));
            return {};
          },
          [&](std::span<const float> block) {
            values.assign(block.begin(), block.end());
            if (about.decodes_to_float) {
              std::transform(values.begin(), values.end(), values.begin(), round_to_16_bits);
            }
            return sink->push(values);
          }));
  if (n_samples == 0) return fail(ErrorCode::kInvalidInput, "holds no sound: not a single sample");
  PREFLIGHT_TRY(DecodedSound sound, sink->finish());
  sound.missing_samples = n_missing_samples(about, n_samples);
  return sound;
}

double start_of(const AVStream& stream) {
  if (stream.start_time == AV_NOPTS_VALUE) return 0.0;
  return static_cast<double>(stream.start_time) * av_q2d(stream.time_base);
}

/// Takes the decoded frames of a track: leaves out what lies before the film's first frame (or
/// before 0: the delay of the encoder) and past the stated end, fills gaps, counts.
class TrackReader {
 public:
  TrackReader(Container& container, const AVStream& stream, const DecodeLimits& limits)
      : stream_(stream), limits_(limits) {
    const AVCodecID codec = stream.codecpar->codec_id;
    if (codec == AV_CODEC_ID_PCM_F32LE || codec == AV_CODEC_ID_PCM_F32BE) {
      floats_ = FloatSamples::kKeep;
    }
    if (const AVStream* pictures = container.first(AVMEDIA_TYPE_VIDEO); pictures != nullptr) {
      origin_s_ = start_of(*pictures);
    }
    if (stream.duration != AV_NOPTS_VALUE && stream.duration > 0) {
      stated_s_ = static_cast<double>(stream.duration) * av_q2d(stream.time_base);
    } else if (container.duration_s() >= 0.0) {
      const std::int64_t begin = container.format().start_time;
      const double offset_s =
          start_of(stream) -
          (begin == AV_NOPTS_VALUE ? 0.0 : static_cast<double>(begin) / AV_TIME_BASE);
      stated_s_ = std::max(container.duration_s() - offset_s, 0.0);
    }
  }

  Result<void> take(const AVFrame& frame) {
    if (!sink_) PREFLIGHT_TRY_VOID(begin(frame));
    if (frame.sample_rate != rate_ || frame.ch_layout.nb_channels != n_channels_) {
      return fail(ErrorCode::kUnsupported,
                  "has a sound track that changes its rate or its channels on the way");
    }
    PREFLIGHT_TRY_VOID(fill_gap(frame));
    PREFLIGHT_TRY_VOID(interleave(frame, floats_, values_));
    return add(static_cast<std::uint64_t>(std::max(frame.nb_samples, 0)));
  }

  Result<DecodedSound> finish(std::uint64_t n_broken) {
    if (!sink_ || sink_->n_in() == 0) {
      return fail(ErrorCode::kInvalidInput, "has a sound track that holds not a single sample");
    }
    PREFLIGHT_TRY(DecodedSound sound, sink_->finish());
    sound.cut_samples = n_cut_;
    sound.missing_samples = n_filled_;
    // A shortfall below one packet is how tracks are rounded; above it, something is missing.
    if (n_end_ != kUnstated && n_end_ > n_decoded_ && n_end_ - n_decoded_ > kPacketSamples) {
      sound.missing_samples += n_end_ - n_decoded_;
    }
    sound.broken_packets = n_broken;
    sound.start_s = first_s_ + static_cast<double>(n_lead_) / rate_ - origin_s_;
    return sound;
  }

 private:
  static constexpr std::uint64_t kUnstated = UINT64_MAX;
  static constexpr std::uint64_t kPacketSamples = 4096;

  Result<void> begin(const AVFrame& frame) {
    rate_ = frame.sample_rate;
    n_channels_ = frame.ch_layout.nb_channels;
    PREFLIGHT_TRY(sink_, SoundSink::create(static_cast<std::uint32_t>(std::max(rate_, 0)),
                                           static_cast<std::uint32_t>(std::max(n_channels_, 0)),
                                           limits_.sound_s));
    if (stated_s_ >= 0.0) {
      n_end_ = static_cast<std::uint64_t>(std::llround(stated_s_ * rate_));
    }
    first_s_ = time_of(frame).value_or(start_of(stream_));
    const double lead_s = std::clamp(origin_s_ - first_s_, 0.0, limits_.sound_s);
    n_lead_ = static_cast<std::uint64_t>(std::llround(lead_s * rate_));
    return {};
  }

  /// Hands on the first `n` of values_ as far as they lie between the film's start and the end.
  Result<void> add(std::uint64_t n) {
    const std::uint64_t begin = std::clamp(n_lead_, n_decoded_, n_decoded_ + n);
    const std::uint64_t end = std::clamp(n_end_, begin, std::max(begin, n_decoded_ + n));
    const auto n_channels = static_cast<std::size_t>(n_channels_);
    const auto kept =
        std::span(values_).subspan((begin - n_decoded_) * n_channels, (end - begin) * n_channels);
    n_decoded_ += n;
    n_cut_ += n - (end - begin);
    return sink_->push(kept);
  }

  std::optional<double> time_of(const AVFrame& frame) const {
    if (frame.best_effort_timestamp == AV_NOPTS_VALUE) return std::nullopt;
    return static_cast<double>(frame.best_effort_timestamp) * av_q2d(stream_.time_base);
  }

  Result<void> fill_gap(const AVFrame& frame) {
    const auto time_s = time_of(frame);
    if (!time_s) return {};
    const double expected_s = first_s_ + static_cast<double>(n_decoded_) / rate_;
    const double gap_s = *time_s - expected_s;
    if (gap_s < kGap_s) return {};
    if (gap_s > limits_.sound_s) {
      return fail(ErrorCode::kLimit,
                  "has a hole in its sound track that is longer than any sound read");
    }
    const auto n_zeros = static_cast<std::uint64_t>(std::llround(gap_s * rate_));
    n_filled_ += n_zeros;
    values_.assign(n_zeros * static_cast<std::size_t>(n_channels_), 0.0f);
    return add(n_zeros);
  }

  const AVStream& stream_;
  const DecodeLimits& limits_;
  FloatSamples floats_ = FloatSamples::kRoundTo16Bits;
  std::optional<SoundSink> sink_;
  std::vector<float> values_;
  double stated_s_ = -1.0;
  double origin_s_ = 0.0;  ///< the film's first frame
  double first_s_ = 0.0;   ///< the first sample that was decoded
  int rate_ = 0;
  int n_channels_ = 0;
  std::uint64_t n_lead_ = 0;         ///< samples per channel before the film's first frame
  std::uint64_t n_end_ = kUnstated;  ///< that the container promises, from the first decoded one
  std::uint64_t n_decoded_ = 0;
  std::uint64_t n_cut_ = 0;
  std::uint64_t n_filled_ = 0;
};

}  // namespace

Result<DecodedSound> decode_sound_track(const Input& input, const DecodeLimits& limits) {
  PREFLIGHT_TRY(const std::unique_ptr<Container> container, Container::open(input, "sound"));
  AVStream* stream = container->first(AVMEDIA_TYPE_AUDIO);
  if (stream == nullptr) return fail(ErrorCode::kInvalidInput, "has no sound track");
  container->keep_only({stream});
  PREFLIGHT_TRY(CodecPtr codec, open_codec(*stream, limits));
  StreamDecoder decoder(std::move(codec));
  TrackReader reader(*container, *stream, limits);
  const PacketPtr packet(av_packet_alloc());
  const FramePtr frame(av_frame_alloc());
  if (!packet || !frame) return fail(ErrorCode::kOutOfMemory, "could not be decoded: no memory");

  const auto take = [&](const AVFrame& one) { return reader.take(one); };
  bool broke_off = false;
  while (read_packet(*container, *packet, broke_off)) {
    if (packet->stream_index != stream->index) continue;
    PREFLIGHT_TRY_VOID(decoder.feed(packet.get(), *frame, take));
  }
  PREFLIGHT_TRY_VOID(decoder.feed(nullptr, *frame, take));
  return reader.finish(decoder.n_broken() + (broke_off ? 1 : 0));
}

Result<DecodedSound> decode_sound(const Input& input, const DecodeLimits& limits) {
  switch (input.kind()) {
    case FileKind::kWav:
    case FileKind::kFlac:
    case FileKind::kOgg:
    case FileKind::kMp3:
      return decode_sound_file(input, limits);
    default:
      return decode_sound_track(input, limits);
  }
}

}  // namespace preflight::media
