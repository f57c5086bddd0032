#include "engine/media/decoder/picture_meter.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace preflight::media {
namespace {

constexpr double kBlackLevel = 0.10;  // of the range between black and white
constexpr double kBlackShare = 0.98;  // of the pixels
constexpr double kBlackMin_s = 0.1;
constexpr double kFrozenChange = 0.001;  // mean change of a pixel, -60 dB of full scale
constexpr double kFrozenMin_s = 1.0;
constexpr double kFrozenJoin_s = 0.1;     // runs closer than this are one
constexpr double kCutScore = 10.0;        // of 100
constexpr std::uint32_t kBarMargin = 24;  // above black
constexpr double kBarLitShare = 0.01;     // a bar may have this share of bright pixels (noise)
constexpr double kTimeSlack_s = 1e-6;

std::uint32_t black_of(const LumaPlane& frame) { return frame.full_range ? 0 : 16; }

/// Mean absolute difference of two frames of one size, 0..1.
double mean_change(const LumaPlane& a, const LumaPlane& b) {
  std::uint64_t total = 0;
  const std::size_t width = a.width;
  for (std::size_t y = 0; y < a.height; ++y) {
    const std::uint8_t* p = a.pixels.data() + y * width;
    const std::uint8_t* q = b.pixels.data() + y * width;
    std::uint32_t row = 0;
    for (std::size_t x = 0; x < width; ++x) {
      row += static_cast<std::uint32_t>(std::abs(int{p[x]} - int{q[x]}));
    }
    total += row;
  }
  return static_cast<double>(total) / (255.0 * static_cast<double>(a.pixels.size()));
}

bool same_size(const LumaPlane& a, const LumaPlane& b) {
  return a.width == b.width && a.height == b.height;
}

bool is_black(const LumaPlane& frame) {
  const double range = frame.full_range ? 255.0 : 219.0;
  const auto limit = static_cast<std::uint8_t>(black_of(frame) + kBlackLevel * range);
  std::uint64_t n_black = 0;
  for (const std::uint8_t pixel : frame.pixels) n_black += pixel <= limit ? 1 : 0;
  return static_cast<double>(n_black) >= kBlackShare * static_cast<double>(frame.pixels.size());
}

std::uint32_t leading_dark(const std::vector<bool>& lit) {
  return static_cast<std::uint32_t>(std::find(lit.begin(), lit.end(), true) - lit.begin());
}

std::uint32_t trailing_dark(const std::vector<bool>& lit) {
  return static_cast<std::uint32_t>(std::find(lit.rbegin(), lit.rend(), true) - lit.rbegin());
}

/// Where the bars of the stored picture come to lie when it stands upright.
Letterbox turned(const Letterbox& b, std::uint32_t orientation) {
  const bool swapped = orientation >= 5;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  std::pair<std::uint32_t, std::uint32_t> across = {b.left, b.right};
  std::pair<std::uint32_t, std::uint32_t> down = {b.top, b.bottom};
  if (flip_x) std::swap(across.first, across.second);
  if (flip_y) std::swap(down.first, down.second);
  if (swapped) std::swap(across, down);
  return {.top = down.first, .bottom = down.second, .left = across.first, .right = across.second};
}

}  // namespace

void PictureMeter::push(const LumaPlane& frame, double time_s) {
  if (frame.pixels.empty()) return;
  const bool black = is_black(frame);
  if (!any_) first_black_ = black;
  watch_black(black, time_s);
  watch_change(frame, time_s);
  if (!black) watch_bars(frame);
  previous_ = frame;
  any_ = true;
}

void PictureMeter::watch_black(bool black, double time_s) {
  if (black && !black_) black_since_s_ = time_s;
  if (!black && black_ && time_s - black_since_s_ >= kBlackMin_s - kTimeSlack_s) {
    blacks_.push_back({.start_s = black_since_s_, .end_s = time_s});
  }
  black_ = black;
}

void PictureMeter::watch_change(const LumaPlane& frame, double time_s) {
  if (!any_ || !same_size(frame, previous_)) {
    if (any_) end_frozen(time_s);
    still_ = frame;
    still_since_s_ = time_s;
    has_change_ = false;
    return;
  }
  const double change = 100.0 * mean_change(frame, previous_);
  if (has_change_) {
    // A cut differs from what came before and more than its neighbours do; steady motion does not.
    const double score = std::min(change, std::abs(change - previous_change_));
    if (score >= kCutScore) cuts_.push_back({.time_s = time_s, .score = std::min(score, 100.0)});
  } else if (change >= kCutScore) {
    cuts_.push_back({.time_s = time_s, .score = std::min(change, 100.0)});
  }
  previous_change_ = change;
  has_change_ = true;
  if (mean_change(frame, still_) > kFrozenChange) {
    end_frozen(time_s);
    still_ = frame;
    still_since_s_ = time_s;
  }
}

void PictureMeter::end_frozen(double time_s) {
  if (time_s - still_since_s_ < kFrozenMin_s - kTimeSlack_s) return;
  if (!frozen_.empty() && still_since_s_ - frozen_.back().end_s < kFrozenJoin_s) {
    frozen_.back().end_s = time_s;
  } else {
    frozen_.push_back({.start_s = still_since_s_, .end_s = time_s});
  }
}

void PictureMeter::watch_bars(const LumaPlane& frame) {
  if (any_lit_frame_ && (row_lit_.size() != frame.height || column_lit_.size() != frame.width))
    return;
  row_lit_.resize(frame.height, false);
  column_lit_.resize(frame.width, false);
  any_lit_frame_ = true;
  const auto limit = static_cast<std::uint8_t>(black_of(frame) + kBarMargin);
  std::vector<std::uint32_t> column_bright(frame.width, 0);
  const std::size_t width = frame.width;
  for (std::size_t y = 0; y < frame.height; ++y) {
    const std::uint8_t* row = frame.pixels.data() + y * width;
    std::uint32_t n_bright = 0;
    for (std::size_t x = 0; x < width; ++x) {
      const std::uint32_t bright = row[x] > limit ? 1 : 0;
      n_bright += bright;
      column_bright[x] += bright;
    }
    if (n_bright > kBarLitShare * frame.width) row_lit_[y] = true;
  }
  for (std::size_t x = 0; x < width; ++x) {
    if (column_bright[x] > kBarLitShare * frame.height) column_lit_[x] = true;
  }
}

void PictureMeter::finish(double end_s, std::uint32_t orientation, VideoFacts& out) {
  if (!any_) return;
  watch_black(false, end_s);
  end_frozen(end_s);
  out.first_frame_black = first_black_;
  out.black = std::move(blacks_);
  out.frozen = std::move(frozen_);
  out.cuts = std::move(cuts_);
  const bool lit = std::find(row_lit_.begin(), row_lit_.end(), true) != row_lit_.end() &&
                   std::find(column_lit_.begin(), column_lit_.end(), true) != column_lit_.end();
  if (!lit) return;
  out.letterbox = turned({.top = leading_dark(row_lit_),
                          .bottom = trailing_dark(row_lit_),
                          .left = leading_dark(column_lit_),
                          .right = trailing_dark(column_lit_)},
                         orientation);
}

}  // namespace preflight::media
