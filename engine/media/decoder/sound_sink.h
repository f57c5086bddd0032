#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/media/decoder.h"
#include "engine/media/decoder/resampler.h"
#include "vk/error.h"

namespace preflight::media {

/// A sample of compressed sound as the 16-bit integer it would be in a file: quiet noise of the
/// decoder becomes exact silence (docs/multimodal.md, sound).
float round_to_16_bits(float sample);

/// Collects decoded sound: takes the mean of the channels, brings it to 16 kHz, watches the limits.
class SoundSink {
 public:
  /// Errors: kUnsupported naming the rate or the number of channels.
  static Result<SoundSink> create(std::uint32_t rate_hz, std::uint32_t n_channels, double max_s);

  /// f32 [n, n_channels]. Errors: kLimit past max_s, kInvalidInput for samples that are not
  /// numbers.
  Result<void> push(std::span<const float> interleaved);
  /// Samples per channel so far.
  std::uint64_t n_in() const { return n_in_; }
  std::uint32_t rate_hz() const { return rate_hz_; }
  /// The result so far; the sink is empty afterwards.
  Result<DecodedSound> finish();

 private:
  explicit SoundSink(Resampler resampler) : resampler_(std::move(resampler)) {}
  Resampler resampler_;
  std::uint32_t rate_hz_ = 0;
  std::uint32_t n_channels_ = 0;
  std::uint64_t max_in_ = 0;
  double max_s_ = 0;
  std::uint64_t n_in_ = 0;
  std::vector<float> mono_;
  std::vector<float> out_;
};

}  // namespace preflight::media
