#include "engine/media/decoder/picture_meter.h"

#include <cmath>
#include <utility>

extern "C" {
#include <libavfilter/version.h>
#include <libavutil/pixdesc.h>
}

#include <fmt/format.h>

namespace preflight::media {
namespace {

constexpr int kTicksPerSecond = 1'000'000;
constexpr double kBlackMin_s = 0.1;
constexpr double kTimeSlack_s = 2.0 / kTicksPerSecond;

// Limited range for all: what is black and what is a bar would else depend on how the film states
// its range. The black filter's own shortest length does not hold for what it writes on frames.
constexpr const char* kFilters =
    "scale=out_range=limited,format=pix_fmts=yuv420p|yuv422p|yuv444p,"
    "scdet=t=10,blackdetect=d=0:pic_th=0.98:pix_th=0.10,freezedetect=n=0.001:d=1,"
    "cropdetect=limit=24:round=2:skip=0:reset=0";

double time_of(const AVFrame& frame) { return static_cast<double>(frame.pts) / kTicksPerSecond; }

bool alike(const AVFrame& a, const AVFrame& b) {
  return a.width == b.width && a.height == b.height && a.format == b.format &&
         a.color_range == b.color_range && a.colorspace == b.colorspace;
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

Result<void> PictureMeter::begin(const AVFrame& frame) {
  const SourcePtr source(av_buffersrc_parameters_alloc());
  if (!source) return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  source->format = frame.format;
  source->width = frame.width;
  source->height = frame.height;
  source->time_base = {1, kTicksPerSecond};
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(9, 16, 100)
  source->color_space = frame.colorspace;
  source->color_range = frame.color_range;
#endif
  auto chain = FilterChain::create(AVMEDIA_TYPE_VIDEO, *source, kFilters);
  if (!chain.has_value() && chain.error().code == ErrorCode::kUnsupported) {
    const char* name = av_get_pix_fmt_name(static_cast<AVPixelFormat>(frame.format));
    return fail(ErrorCode::kUnsupported,
                fmt::format("has {}x{} pixels of the format \"{}\"", frame.width, frame.height,
                            name != nullptr ? name : "unknown"));
  }
  if (!chain.has_value()) return tl::unexpected(std::move(chain).error());
  chain_ = std::move(*chain);
  return {};
}

Result<void> PictureMeter::give(const AVFrame& frame, double time_s) {
  FramePtr copy(av_frame_clone(&frame));
  if (!copy) return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  copy->pts = std::llround(time_s * kTicksPerSecond);
  av_dict_free(&copy->metadata);  // only the filters write there
  return chain_->push(std::move(copy), [this](const AVFrame& one) { read(one); });
}

Result<void> PictureMeter::push(const AVFrame& frame, double time_s) {
  if (frame.width <= 0 || frame.height <= 0) {
    return fail(ErrorCode::kInvalidInput, "has a frame without pixels");
  }
  if (last_ && !alike(frame, *last_)) PREFLIGHT_TRY_VOID(end(time_s));
  if (!chain_) PREFLIGHT_TRY_VOID(begin(frame));
  last_.reset(av_frame_clone(&frame));
  if (!last_) return fail(ErrorCode::kOutOfMemory, "could not be measured: no memory");
  return give(frame, time_s);
}

void PictureMeter::read(const AVFrame& frame) {
  const double time_s = time_of(frame);
  const auto has = [&](const char* key) { return measured(frame, key).has_value(); };
  const bool black_begins = has("lavfi.black_start");
  if (!facts_.first_frame_black) facts_.first_frame_black = black_begins;
  if (black_begins) black_since_s_ = time_s;
  if (has("lavfi.black_end")) end_black(time_s);
  // A start is told when it has lasted; where both are on a frame, the start comes first.
  if (const auto start_s = measured(frame, "lavfi.freezedetect.freeze_start")) {
    frozen_since_s_ = start_s;
  }
  if (has("lavfi.freezedetect.freeze_end")) end_frozen(time_s);
  if (has("lavfi.scd.time")) {
    facts_.cuts.push_back(
        {.time_s = time_s, .score = measured(frame, "lavfi.scd.score").value_or(0.0)});
  }
  const auto x1 = measured(frame, "lavfi.cropdetect.x1");
  const auto y1 = measured(frame, "lavfi.cropdetect.y1");
  const auto x2 = measured(frame, "lavfi.cropdetect.x2");
  const auto y2 = measured(frame, "lavfi.cropdetect.y2");
  // As long as all was dark, the corners stand the wrong way round.
  if (!x1 || !y1 || !x2 || !y2 || *x1 >= *x2 || *y1 >= *y2) return;
  bars_ = Letterbox{.top = static_cast<std::uint32_t>(*y1),
                    .bottom = static_cast<std::uint32_t>(frame.height - 1 - *y2),
                    .left = static_cast<std::uint32_t>(*x1),
                    .right = static_cast<std::uint32_t>(frame.width - 1 - *x2)};
}

void PictureMeter::end_black(double end_s) {
  if (black_since_s_ && end_s - *black_since_s_ >= kBlackMin_s - kTimeSlack_s) {
    facts_.black.push_back({.start_s = *black_since_s_, .end_s = end_s});
  }
  black_since_s_.reset();
}

void PictureMeter::end_frozen(double end_s) {
  if (frozen_since_s_) facts_.frozen.push_back({.start_s = *frozen_since_s_, .end_s = end_s});
  frozen_since_s_.reset();
}

/// The last frame is shown until `end_s`: given once more, it is seen to stand still until then.
Result<void> PictureMeter::end(double end_s) {
  PREFLIGHT_TRY_VOID(give(*last_, end_s));
  PREFLIGHT_TRY_VOID(chain_->finish([this](const AVFrame& one) { read(one); }));
  end_black(end_s);
  end_frozen(end_s);
  if (!facts_.letterbox) facts_.letterbox = bars_;
  bars_.reset();
  chain_.reset();
  return {};
}

Result<void> PictureMeter::finish(double end_s, std::uint32_t orientation, VideoFacts& out) {
  if (!last_) return {};
  PREFLIGHT_TRY_VOID(end(end_s));
  out.black = std::move(facts_.black);
  out.first_frame_black = facts_.first_frame_black;
  out.frozen = std::move(facts_.frozen);
  out.cuts = std::move(facts_.cuts);
  if (facts_.letterbox) out.letterbox = turned(*facts_.letterbox, orientation);
  return {};
}

}  // namespace preflight::media
