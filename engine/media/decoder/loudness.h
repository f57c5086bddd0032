#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/media/facts.h"

namespace preflight::media {

/// Loudness by ITU-R BS.1770-4 and EBU R128 (Tech 3341, 3342): K weighting, 400 ms blocks every
/// 100 ms, gates at -70 LUFS and 10 LU below; short-term over 3 s; range between the 10th and the
/// 95th percentile of short-term loudness; true peak with four times the samples.
class LoudnessMeter {
 public:
  LoudnessMeter(std::uint32_t rate_hz, std::uint32_t n_channels);
  /// f32 [n, n_channels]; finite.
  void push(std::span<const float> interleaved);
  void finish(SoundFacts& out) const;

 private:
  /// Two second-order filters in a row.
  struct Biquad {
    double b0 = 1, b1 = 0, b2 = 0, a1 = 0, a2 = 0;
  };
  static constexpr std::size_t kPeakTaps = 24;
  struct Channel {
    double weight = 1.0;
    std::array<std::array<double, 2>, 2> state = {};
    double energy = 0.0;        ///< of the running 100 ms
    double total_energy = 0.0;  ///< weighted by K, not by channel
    std::array<float, 2 * kPeakTaps> history =
        {};  ///< twice the same, so that a window is in one piece
    float peak = 0.0f;
  };
  static Biquad shelf(double rate_hz);
  static Biquad high_pass(double rate_hz);
  void watch_peak(Channel& channel, float sample) const;
  void end_hop();

  std::array<Biquad, 2> filters_;
  std::vector<Channel> channels_;
  std::uint32_t oversampling_;
  std::vector<std::array<float, kPeakTaps>> peak_taps_;  ///< of the positions between two samples
  std::size_t history_at_ = 0;
  std::uint64_t hop_samples_;
  std::uint64_t in_hop_ = 0;
  std::uint64_t n_samples_ = 0;
  std::vector<double> hops_;  ///< mean square of each 100 ms, channels summed with their weights
};

}  // namespace preflight::media
