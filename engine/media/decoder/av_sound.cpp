#include "engine/media/decoder/av_sound.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

extern "C" {
#include <libavutil/samplefmt.h>
}

#include <fmt/format.h>

#include "engine/media/decoder/sound_sink.h"

namespace preflight::media {
namespace {

template <class Sample>
Sample load(const std::uint8_t* from) {
  Sample sample;
  std::memcpy(&sample, from, sizeof sample);
  return sample;
}

float to_float(std::uint8_t sample) { return (static_cast<float>(sample) - 128.0f) / 128.0f; }
float to_float(std::int16_t sample) { return static_cast<float>(sample) / 32768.0f; }
float to_float(std::int32_t sample) { return static_cast<float>(sample) / 2147483648.0f; }
float to_float(float sample) { return sample; }
float to_float(double sample) { return static_cast<float>(sample); }

template <class Sample>
void interleave_as(const AVFrame& frame, bool planar, std::vector<float>& out) {
  const auto n = static_cast<std::size_t>(frame.nb_samples);
  const auto n_channels = static_cast<std::size_t>(frame.ch_layout.nb_channels);
  out.resize(n * n_channels);
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t c = 0; c < n_channels; ++c) {
      const std::uint8_t* plane = frame.extended_data[planar ? c : 0];
      const std::size_t at = planar ? i : i * n_channels + c;
      out[i * n_channels + c] = to_float(load<Sample>(plane + at * sizeof(Sample)));
    }
  }
}

}  // namespace

Result<void> interleave(const AVFrame& frame, FloatSamples floats, std::vector<float>& out) {
  const auto format = static_cast<AVSampleFormat>(frame.format);
  const bool planar = av_sample_fmt_is_planar(format) != 0;
  bool is_float = false;
  switch (av_get_packed_sample_fmt(format)) {
    case AV_SAMPLE_FMT_U8:
      interleave_as<std::uint8_t>(frame, planar, out);
      break;
    case AV_SAMPLE_FMT_S16:
      interleave_as<std::int16_t>(frame, planar, out);
      break;
    case AV_SAMPLE_FMT_S32:
      interleave_as<std::int32_t>(frame, planar, out);
      break;
    case AV_SAMPLE_FMT_FLT:
      interleave_as<float>(frame, planar, out);
      is_float = true;
      break;
    case AV_SAMPLE_FMT_DBL:
      interleave_as<double>(frame, planar, out);
      is_float = true;
      break;
    default: {
      const char* name = av_get_sample_fmt_name(format);
      return fail(ErrorCode::kUnsupported, fmt::format("has sound in samples of the kind \"{}\"",
                                                       name != nullptr ? name : "unknown"));
    }
  }
  if (is_float && floats == FloatSamples::kRoundTo16Bits) {
    std::transform(out.begin(), out.end(), out.begin(), round_to_16_bits);
  }
  return {};
}

}  // namespace preflight::media
