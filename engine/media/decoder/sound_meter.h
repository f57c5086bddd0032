#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

extern "C" {
#include <libavutil/channel_layout.h>
}

#include "engine/media/decoder/filter_chain.h"
#include "engine/media/facts.h"
#include "vk/error.h"

namespace preflight::media {

/// Where `n_channels` stand when a file does not say; beyond eight nobody knows.
AVChannelLayout usual_layout(std::uint32_t n_channels);

/// Watches sound go by at its own rate and channels. Loudness, peaks, levels, offset and silence
/// are libavfilter's; runs at full scale and equal channels are counted here.
class SoundMeter {
 public:
  /// Errors: as check_sound. Of sound whose channels stand nowhere in particular, loudness is not
  /// measured: it weights channels by their place.
  static Result<SoundMeter> create(std::uint32_t rate_hz, const AVChannelLayout& layout);

  /// f32 [n, n_channels]. Samples that are not numbers are taken as zero and counted.
  Result<void> push(std::span<const float> interleaved);
  std::uint64_t n_samples() const { return n_samples_; }
  std::uint64_t n_not_numbers() const { return n_not_numbers_; }
  /// The measured fields, the others left as they are by default; times begin at `start_s`. The
  /// meter is used up.
  Result<SoundFacts> finish(double start_s);

 private:
  struct Channel {
    std::uint64_t run = 0;  ///< samples at full scale on one side, up to now
    bool positive = false;
  };

  SoundMeter(std::uint32_t rate_hz, const AVChannelLayout& layout, FilterChain levels,
             FilterChain true_peak);
  void watch_clipping(Channel& channel, float sample);
  void end_run(Channel& channel);
  Result<FramePtr> frame_of(std::span<const float> interleaved) const;
  Result<void> measure(FramePtr frame);
  void read_levels(const AVFrame& frame);
  void read_true_peak(const AVFrame& frame);
  void end_silence(double end_s);

  std::uint32_t rate_hz_;
  AVChannelLayout layout_;
  FilterChain levels_;
  FilterChain true_peak_;
  std::vector<Channel> channels_;
  std::vector<float> clean_;
  std::uint64_t n_samples_ = 0;
  std::uint64_t n_not_numbers_ = 0;
  bool identical_ = true;
  std::optional<double> silent_since_s_;
  std::optional<double> left_db_;
  std::optional<double> right_db_;
  SoundFacts facts_;  ///< up to now, times from 0
};

}  // namespace preflight::media
