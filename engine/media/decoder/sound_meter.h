#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/media/decoder/loudness.h"
#include "engine/media/facts.h"

namespace preflight::media {

/// Watches sound go by at its own rate and channels: loudness, clipping, offset, silence.
class SoundMeter {
 public:
  SoundMeter(std::uint32_t rate_hz, std::uint32_t n_channels);

  /// f32 [n, n_channels]. Samples that are not numbers are taken as zero and counted.
  void push(std::span<const float> interleaved);
  std::uint64_t n_samples() const { return n_samples_; }
  std::uint64_t n_not_numbers() const { return n_not_numbers_; }
  /// Fills the measured fields; times begin at `start_s`.
  void finish(double start_s, SoundFacts& out);

 private:
  struct Channel {
    std::uint64_t run = 0;  ///< samples at full scale on one side, up to now
    bool positive = false;
    double sum = 0;
    float peak = 0;
  };
  void watch_clipping(Channel& channel, float sample);
  void end_run(Channel& channel);
  void watch_silence(bool silent);

  std::uint32_t rate_hz_;
  LoudnessMeter loudness_;
  std::vector<Channel> channels_;
  std::vector<float> clean_;
  std::uint64_t n_samples_ = 0;
  std::uint64_t n_not_numbers_ = 0;
  std::uint64_t clipped_runs_ = 0;
  std::uint64_t clipped_samples_ = 0;
  std::uint64_t silent_since_ = 0;
  bool silent_ = false;
  bool identical_ = true;
  std::vector<TimeSpan> silences_;  ///< from 0
};

}  // namespace preflight::media
