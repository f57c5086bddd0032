#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vk/error.h"

namespace preflight::media {

/// Brings one channel to 16 kHz with a windowed-sinc low-pass (Kaiser): flat to 7 kHz (or 7/16 of a
/// lower source rate), at least 80 dB down from 8 kHz (or half the source rate). Output sample i
/// stands at input position i * rate / 16000, so nothing is delayed; n inputs give ceil(n * 16000 /
/// rate) outputs. The signal is taken as zero outside its ends. Works on a stream: memory stays
/// small whatever the length (docs/multimodal.md, sound).
class Resampler {
 public:
  /// Errors: kUnsupported for rates outside 1000 .. 384000 Hz.
  static Result<Resampler> create(std::uint32_t rate_hz);

  /// Takes the next input and appends to `out` what can be said already.
  void push(std::span<const float> input, std::vector<float>& out);
  /// The input has ended: appends the rest.
  void finish(std::vector<float>& out);

 private:
  Resampler() = default;
  void drain(std::uint64_t n_available, std::uint64_t n_wanted, std::vector<float>& out);

  std::uint64_t up_ = 1;  ///< output samples per `down_` input samples, in lowest terms
  std::uint64_t down_ = 1;
  std::uint64_t half_taps_ = 0;  ///< input samples on either side of an output position
  std::vector<float> taps_;      ///< f32 [up_, 2 * half_taps_]
  std::vector<float> pending_;   ///< input from position pending_from_ on, zeros before the start
  std::int64_t pending_from_ = 0;
  std::uint64_t n_in_ = 0;
  std::uint64_t n_out_ = 0;
};

}  // namespace preflight::media
