#pragma once

#include <cstdint>
#include <optional>

#include "engine/media/decoder/filter_chain.h"
#include "engine/media/facts.h"
#include "vk/error.h"

namespace preflight::media {

/// Watches a film go by, frame after frame: black, frozen, cuts, bars, all by libavfilter on 8-bit
/// pictures of limited range.
class PictureMeter {
 public:
  /// Times ascend, the first frame is at 0. Frames may change their size and their pixels on the
  /// way: what was black or frozen ends there. Errors: kUnsupported for pixels that the filters
  /// cannot be given.
  Result<void> push(const AVFrame& frame, double time_s);
  /// Fills the measured fields. `end_s` is where the last frame ends; `orientation` (1..8) turns
  /// the bars to where the upright picture has them. The meter is used up.
  Result<void> finish(double end_s, std::uint32_t orientation, VideoFacts& out);

 private:
  Result<void> begin(const AVFrame& frame);
  Result<void> end(double end_s);
  Result<void> give(const AVFrame& frame, double time_s);
  void read(const AVFrame& frame);
  void end_black(double end_s);
  void end_frozen(double end_s);

  std::optional<FilterChain> chain_;
  FramePtr last_;                  ///< that was pushed
  std::optional<Letterbox> bars_;  ///< of the frames of this chain, as they are stored
  std::optional<double> black_since_s_;
  std::optional<double> frozen_since_s_;
  VideoFacts facts_;  ///< the measured fields up to now, bars as those
};

}  // namespace preflight::media
