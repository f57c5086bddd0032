#include "engine/media/decoder/loudness.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

namespace preflight::media {
namespace {

constexpr double kOffset = -0.691;  // BS.1770: a 997 Hz sine at full scale in one channel is -3.01
constexpr double kAbsoluteGate = -70.0;  // LUFS
constexpr double kRelativeGate = -10.0;  // LU, of integrated loudness
constexpr double kRangeGate = -20.0;     // LU, of the range
constexpr std::size_t kMomentaryHops = 4;
constexpr std::size_t kShortTermHops = 30;
constexpr double kSurround = 1.41;

double to_lufs(double mean_square) {
  return mean_square > 0.0 ? kOffset + 10.0 * std::log10(mean_square) : -1000.0;
}
double to_mean_square(double lufs) { return std::pow(10.0, (lufs - kOffset) / 10.0); }

/// In the order that files use: left, right, centre, low frequencies, surrounds.
double channel_weight(std::size_t channel, std::size_t n_channels) {
  if (n_channels <= 3) return 1.0;
  if (n_channels <= 5) return channel < n_channels - 2 ? 1.0 : kSurround;
  if (channel == 3) return 0.0;
  return channel < 3 ? 1.0 : kSurround;
}

/// Means over `length` hops, one for every position where that many are there.
std::vector<double> windows(const std::vector<double>& hops, std::size_t length) {
  std::vector<double> means;
  for (std::size_t end = length; end <= hops.size(); ++end) {
    double sum = 0.0;
    for (std::size_t i = end - length; i < end; ++i) sum += hops[i];
    means.push_back(sum / static_cast<double>(length));
  }
  return means;
}

std::vector<double> above(const std::vector<double>& values, double gate) {
  std::vector<double> kept;
  std::copy_if(values.begin(), values.end(), std::back_inserter(kept),
               [gate](double value) { return value > gate; });
  return kept;
}

double mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

std::optional<double> largest_lufs(const std::vector<double>& means) {
  if (means.empty()) return std::nullopt;
  const double lufs = to_lufs(*std::max_element(means.begin(), means.end()));
  return lufs > kAbsoluteGate ? std::optional(lufs) : std::nullopt;
}

std::optional<double> to_db(double amplitude) {
  return amplitude > 0.0 ? std::optional(20.0 * std::log10(amplitude)) : std::nullopt;
}

double at_share(const std::vector<double>& sorted, double share) {
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(share * last))];
}

}  // namespace

// The two filters of BS.1770 are given for 48 kHz; these are the analogue shapes behind them,
// brought to any rate by the bilinear transform.
LoudnessMeter::Biquad LoudnessMeter::shelf(double rate_hz) {
  const double k = std::tan(std::numbers::pi * 1681.974450955533 / rate_hz);
  const double q = 0.7071752369554196;
  const double high = std::pow(10.0, 3.999843853973347 / 20.0);
  const double band = std::pow(high, 0.4996667741545416);
  const double a0 = 1.0 + k / q + k * k;
  return {.b0 = (high + band * k / q + k * k) / a0,
          .b1 = 2.0 * (k * k - high) / a0,
          .b2 = (high - band * k / q + k * k) / a0,
          .a1 = 2.0 * (k * k - 1.0) / a0,
          .a2 = (1.0 - k / q + k * k) / a0};
}

LoudnessMeter::Biquad LoudnessMeter::high_pass(double rate_hz) {
  const double k = std::tan(std::numbers::pi * 38.13547087602444 / rate_hz);
  const double q = 0.5003270373238773;
  const double a0 = 1.0 + k / q + k * k;
  return {.b0 = 1.0,
          .b1 = -2.0,
          .b2 = 1.0,
          .a1 = 2.0 * (k * k - 1.0) / a0,
          .a2 = (1.0 - k / q + k * k) / a0};
}

LoudnessMeter::LoudnessMeter(std::uint32_t rate_hz, std::uint32_t n_channels)
    : filters_{shelf(rate_hz), high_pass(rate_hz)},
      channels_(n_channels),
      oversampling_(rate_hz < 96000    ? 4
                    : rate_hz < 192000 ? 2
                                       : 1),
      hop_samples_(std::max<std::uint64_t>(rate_hz / 10, 1)) {
  for (std::size_t c = 0; c < channels_.size(); ++c) {
    channels_[c].weight = channel_weight(c, channels_.size());
  }
  // Windowed sinc for the positions between two samples.
  for (std::uint32_t phase = 1; phase < oversampling_; ++phase) {
    std::array<float, kPeakTaps> taps = {};
    double sum = 0.0;
    std::array<double, kPeakTaps> exact = {};
    for (std::size_t k = 0; k < kPeakTaps; ++k) {
      const double x = static_cast<double>(k) - (kPeakTaps / 2.0 - 1.0) -
                       static_cast<double>(phase) / oversampling_;
      const double window = std::cos(std::numbers::pi * x / (kPeakTaps + 1.0));
      exact[k] = std::sin(std::numbers::pi * x) / (std::numbers::pi * x) * window * window;
      sum += exact[k];
    }
    for (std::size_t k = 0; k < kPeakTaps; ++k) taps[k] = static_cast<float>(exact[k] / sum);
    peak_taps_.push_back(taps);
  }
}

void LoudnessMeter::watch_peak(Channel& channel, float sample) const {
  channel.history[history_at_] = sample;
  channel.history[history_at_ + kPeakTaps] = sample;
  channel.peak = std::max(channel.peak, std::abs(sample));
  const float* window = channel.history.data() + history_at_ + 1;  // oldest first
  for (const auto& taps : peak_taps_) {
    float sum = 0.0f;
    for (std::size_t k = 0; k < kPeakTaps; ++k) sum += window[k] * taps[k];
    channel.peak = std::max(channel.peak, std::abs(sum));
  }
}

void LoudnessMeter::push(std::span<const float> interleaved) {
  const std::size_t n_channels = channels_.size();
  for (std::size_t at = 0; at + n_channels <= interleaved.size(); at += n_channels) {
    for (std::size_t c = 0; c < n_channels; ++c) {
      Channel& channel = channels_[c];
      const float sample = interleaved[at + c];
      watch_peak(channel, sample);
      double x = static_cast<double>(sample);
      for (std::size_t f = 0; f < filters_.size(); ++f) {
        const Biquad& q = filters_[f];
        auto& state = channel.state[f];
        const double y = q.b0 * x + state[0];
        state[0] = q.b1 * x - q.a1 * y + state[1];
        state[1] = q.b2 * x - q.a2 * y;
        x = y;
      }
      channel.energy += x * x;
    }
    history_at_ = (history_at_ + 1) % kPeakTaps;
    ++n_samples_;
    if (++in_hop_ == hop_samples_) end_hop();
  }
}

void LoudnessMeter::end_hop() {
  double sum = 0.0;
  for (Channel& channel : channels_) {
    sum += channel.weight * channel.energy / static_cast<double>(hop_samples_);
    channel.total_energy += channel.energy;
    channel.energy = 0.0;
  }
  hops_.push_back(sum);
  in_hop_ = 0;
}

void LoudnessMeter::finish(SoundFacts& out) const {
  const auto momentary = windows(hops_, kMomentaryHops);
  const auto loud = above(momentary, to_mean_square(kAbsoluteGate));
  if (!loud.empty()) {
    const double gate = to_mean_square(to_lufs(mean(loud)) + kRelativeGate);
    out.integrated_lufs = to_lufs(mean(above(loud, gate)));
  }
  out.momentary_max_lufs = largest_lufs(momentary);

  const auto short_term = windows(hops_, kShortTermHops);
  out.short_term_max_lufs = largest_lufs(short_term);
  const auto audible = above(short_term, to_mean_square(kAbsoluteGate));
  if (!audible.empty()) {
    auto kept = above(audible, to_mean_square(to_lufs(mean(audible)) + kRangeGate));
    std::sort(kept.begin(), kept.end());
    out.loudness_range_lu = to_lufs(at_share(kept, 0.95)) - to_lufs(at_share(kept, 0.10));
  }

  float peak = 0.0f;
  for (const Channel& channel : channels_) peak = std::max(peak, channel.peak);
  out.true_peak_dbtp = to_db(static_cast<double>(peak));

  if (channels_.size() == 2 && n_samples_ > 0) {
    const auto level = [&](const Channel& channel) {
      const double mean_square =
          (channel.total_energy + channel.energy) / static_cast<double>(n_samples_);
      return std::max(to_lufs(mean_square), kAbsoluteGate);
    };
    out.channel_difference_lu = level(channels_[0]) - level(channels_[1]);
  }
}

}  // namespace preflight::media
