#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

extern "C" {
#include <libswresample/swresample.h>
}

#include "vk/error.h"

namespace preflight::media {

/// Brings one channel to 16 kHz by libswresample, flat to 7 kHz and 90 dB down from 8.1 kHz on (a
/// lower rate: flat to 7/16 of it). Output sample i stands at input position i * rate / 16000, so
/// nothing is delayed; n inputs give ceil(n * 16000 / rate) outputs. The sound is mirrored before
/// its start and silent after its end. 16 kHz passes through bit for bit. Works on a stream.
class Resampler {
 public:
  /// `rate_hz` within the bounds of check_sound. Errors: kOutOfMemory.
  static Result<Resampler> create(std::uint32_t rate_hz);

  /// Takes the next input and appends to `out` what can be said already.
  Result<void> push(std::span<const float> input, std::vector<float>& out);
  /// The input has ended: appends the rest.
  Result<void> finish(std::vector<float>& out);

 private:
  struct FreeSwr {
    void operator()(SwrContext* swr) const { swr_free(&swr); }
  };

  Resampler() = default;
  Result<void> convert(std::span<const float> input, std::vector<float>& out);

  std::unique_ptr<SwrContext, FreeSwr> swr_;
  std::uint32_t rate_hz_ = 0;
  std::uint64_t n_in_ = 0;
  std::uint64_t n_out_ = 0;
};

}  // namespace preflight::media
