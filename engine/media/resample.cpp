#include "engine/media/resample.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <fmt/format.h>

#include "engine/media/media.h"

namespace preflight::media {
namespace {

constexpr double kStopBandDb = 90.0;
constexpr std::uint32_t kMinRate = 1000;
constexpr std::uint32_t kMaxRate = 384000;

/// Modified Bessel function of the first kind, order 0.
double bessel_i0(double x) {
  double sum = 1.0;
  double term = 1.0;
  for (int k = 1; term > sum * 1e-17; ++k) {
    term *= (x / (2.0 * k)) * (x / (2.0 * k));
    sum += term;
  }
  return sum;
}

}  // namespace

Result<Resampler> Resampler::create(std::uint32_t rate_hz) {
  if (rate_hz < kMinRate || rate_hz > kMaxRate) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("a sample rate of {} Hz is outside {} to {} Hz", rate_hz, kMinRate, kMaxRate));
  }
  Resampler r;
  const std::uint32_t common = std::gcd(rate_hz, kSampleRate);
  r.up_ = kSampleRate / common;
  r.down_ = rate_hz / common;
  if (r.up_ == r.down_) return r;

  // Kaiser's design rules: beta from the stop band, length from the width of the transition, which
  // runs from 7/16 to 8/16 of the lower of the two rates.
  const double lower = std::min(rate_hz, kSampleRate);
  const double transition = lower / 16.0 / rate_hz;  // cycles per input sample
  const double cutoff = lower * 7.5 / 16.0 / rate_hz;
  const double beta = 0.1102 * (kStopBandDb - 8.7);
  const double length = (kStopBandDb - 7.95) / (2.285 * 2.0 * std::numbers::pi * transition);
  r.half_taps_ = static_cast<std::uint64_t>(std::ceil(length / 2.0)) + 1;

  const std::uint64_t n_taps = 2 * r.half_taps_;
  r.taps_.resize(r.up_ * n_taps);
  std::vector<double> row(n_taps);
  for (std::uint64_t phase = 0; phase < r.up_; ++phase) {
    const double fraction = static_cast<double>(phase) / static_cast<double>(r.up_);
    double sum = 0.0;
    for (std::uint64_t k = 0; k < n_taps; ++k) {
      const double x = static_cast<double>(k) - static_cast<double>(r.half_taps_ - 1) - fraction;
      const double at = x / static_cast<double>(r.half_taps_);
      const double window =
          std::abs(at) < 1.0 ? bessel_i0(beta * std::sqrt(1.0 - at * at)) / bessel_i0(beta) : 0.0;
      const double angle = 2.0 * std::numbers::pi * cutoff * x;
      const double sinc = x == 0.0 ? 1.0 : std::sin(angle) / angle;
      row[k] = sinc * window;
      sum += row[k];
    }
    // A constant stays the same constant in every phase.
    for (std::uint64_t k = 0; k < n_taps; ++k) {
      r.taps_[phase * n_taps + k] = static_cast<float>(row[k] / sum);
    }
  }
  r.pending_from_ = -static_cast<std::int64_t>(r.half_taps_ - 1);
  r.pending_.assign(r.half_taps_ - 1, 0.0f);
  return r;
}

void Resampler::push(std::span<const float> input, std::vector<float>& out) {
  n_in_ += input.size();
  if (half_taps_ == 0) {
    out.insert(out.end(), input.begin(), input.end());
    n_out_ += input.size();
    return;
  }
  pending_.insert(pending_.end(), input.begin(), input.end());
  // Output i needs the inputs up to floor(i * down / up) + half_taps.
  if (n_in_ <= half_taps_) return;
  const std::uint64_t n_ready = ((n_in_ - half_taps_) * up_ + down_ - 1) / down_;
  drain(n_in_, n_ready, out);
}

void Resampler::finish(std::vector<float>& out) {
  if (half_taps_ == 0) return;
  pending_.insert(pending_.end(), half_taps_ + 1, 0.0f);
  drain(n_in_ + half_taps_ + 1, (n_in_ * up_ + down_ - 1) / down_, out);
}

void Resampler::drain(std::uint64_t n_available, std::uint64_t n_wanted, std::vector<float>& out) {
  const std::uint64_t n_taps = 2 * half_taps_;
  std::uint64_t first = 0;
  for (; n_out_ < n_wanted; ++n_out_) {
    const std::uint64_t position = n_out_ * down_ / up_;
    const std::uint64_t phase = n_out_ * down_ % up_;
    // The taps begin half_taps - 1 inputs before the position; pending_ holds that many zeros
    // before the start.
    const auto begin = static_cast<std::int64_t>(position) -
                       static_cast<std::int64_t>(half_taps_ - 1) - pending_from_;
    PREFLIGHT_ASSERT(begin >= 0 && position + half_taps_ < n_available);
    first = static_cast<std::uint64_t>(begin);
    const float* x = pending_.data() + first;
    const float* w = taps_.data() + phase * n_taps;
    double sum = 0.0;
    for (std::uint64_t k = 0; k < n_taps; ++k) {
      sum += static_cast<double>(x[k]) * static_cast<double>(w[k]);
    }
    out.push_back(static_cast<float>(sum));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(first));
  pending_from_ += static_cast<std::int64_t>(first);
}

}  // namespace preflight::media
