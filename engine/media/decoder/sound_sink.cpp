#include "engine/media/decoder/sound_sink.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "engine/media/decoder/sound_bounds.h"

namespace preflight::media {

float round_to_16_bits(float sample) {
  if (!std::isfinite(sample)) return sample;  // found and named where the mean is taken
  const float scaled = std::clamp(std::nearbyint(sample * 32768.0f), -32768.0f, 32767.0f);
  return scaled / 32768.0f;
}

Result<SoundSink> SoundSink::create(std::uint32_t rate_hz, std::uint32_t n_channels, double max_s) {
  PREFLIGHT_TRY_VOID(check_sound(rate_hz, n_channels));
  PREFLIGHT_TRY(Resampler resampler, Resampler::create(rate_hz));
  SoundSink sink(std::move(resampler));
  sink.rate_hz_ = rate_hz;
  sink.n_channels_ = n_channels;
  sink.max_s_ = max_s;
  sink.max_in_ = static_cast<std::uint64_t>(max_s * rate_hz);
  return sink;
}

Result<void> SoundSink::push(std::span<const float> interleaved) {
  const std::size_t n = interleaved.size() / n_channels_;
  if (n > max_in_ - n_in_) {
    return fail(ErrorCode::kLimit,
                fmt::format("has more than {:.0f} s of sound, the longest that is read", max_s_));
  }
  mono_.clear();
  for (std::size_t i = 0; i < n; ++i) {
    float sum = 0.0f;
    for (std::size_t c = 0; c < n_channels_; ++c) sum += interleaved[i * n_channels_ + c];
    const float mean = sum / static_cast<float>(n_channels_);
    if (!std::isfinite(mean)) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("has a sample that is not a number, at {:.3f} s",
                              static_cast<double>(n_in_ + i) / rate_hz_));
    }
    mono_.push_back(mean);
  }
  n_in_ += n;
  return resampler_.push(mono_, out_);
}

Result<DecodedSound> SoundSink::finish() {
  PREFLIGHT_TRY_VOID(resampler_.finish(out_));
  DecodedSound sound;
  sound.samples = std::move(out_);
  sound.source_rate_hz = rate_hz_;
  sound.source_channels = n_channels_;
  sound.source_samples = n_in_;
  return sound;
}

}  // namespace preflight::media
