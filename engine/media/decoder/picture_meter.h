#pragma once

#include <cstdint>
#include <vector>

#include "engine/media/facts.h"

namespace preflight::media {

/// The brightness of every pixel, 8 bits, packed rows; range as the film has it.
struct LumaPlane {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  bool full_range = false;  ///< black is 0, else 16
  std::vector<std::uint8_t> pixels;
};

/// Watches a film go by, frame after frame: black, frozen, cuts, bars.
class PictureMeter {
 public:
  /// Times ascend, the first frame is at 0.
  void push(const LumaPlane& frame, double time_s);
  /// Fills the measured fields. `end_s` is where the last frame ends; `orientation` (1..8) turns
  /// the bars to where the upright picture has them.
  void finish(double end_s, std::uint32_t orientation, VideoFacts& out);

 private:
  void watch_black(bool black, double time_s);
  void watch_change(const LumaPlane& frame, double time_s);
  void watch_bars(const LumaPlane& frame);
  void end_frozen(double time_s);

  bool any_ = false;
  bool first_black_ = false;
  bool black_ = false;
  double black_since_s_ = 0;
  LumaPlane previous_;
  double previous_change_ = 0;  ///< 0..100
  bool has_change_ = false;
  LumaPlane still_;  ///< the frame that a still picture began with
  double still_since_s_ = 0;
  bool any_lit_frame_ = false;
  std::vector<bool> row_lit_;
  std::vector<bool> column_lit_;
  std::vector<TimeSpan> blacks_;
  std::vector<TimeSpan> frozen_;
  std::vector<SceneCut> cuts_;
};

}  // namespace preflight::media
