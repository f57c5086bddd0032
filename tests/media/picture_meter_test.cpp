// Films made here, frame by frame, of which it is known what is black, frozen, cut and barred.

#include "engine/media/decoder/picture_meter.h"

#include <functional>
#include <random>
#include <string>
#include <vector>

extern "C" {
#include <libavutil/dict.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
}

#include <gtest/gtest.h>

namespace preflight::media {
namespace {

constexpr int kWidth = 64;
constexpr int kHeight = 48;

/// What a picture shows: the brightness of every pixel, 0 black to 1 white.
using Picture = std::function<double(int x, int y)>;

Picture flat(double level) {
  return [level](int, int) { return level; };
}

Picture noise(std::uint32_t seed) {
  return [seed](int x, int y) {
    std::mt19937 random(seed * 65537 + static_cast<std::uint32_t>(y * kWidth + x));
    return 0.2 + 0.6 * static_cast<double>(random() % 1000) / 1000.0;
  };
}

/// Bars of 6 lines on top, 2 below, 3 columns to the left.
Picture barred(const Picture& inside) {
  return [inside](int x, int y) { return y < 6 || y >= kHeight - 2 || x < 3 ? 0.0 : inside(x, y); };
}

void fill(AVFrame& frame, const Picture& picture) {
  const AVPixFmtDescriptor& d = *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  const int depth = d.comp[0].depth;
  const bool full = frame.color_range == AVCOL_RANGE_JPEG || (d.flags & AV_PIX_FMT_FLAG_RGB) != 0 ||
                    std::string(d.name).starts_with("yuvj");
  const double black = full ? 0.0 : 16.0;
  const double range = full ? 255.0 : 219.0;
  for (int c = 0; c < d.nb_components; ++c) {
    const AVComponentDescriptor& comp = d.comp[c];
    const bool chroma = (d.flags & AV_PIX_FMT_FLAG_RGB) == 0 && c > 0;
    const int width = chroma ? -(-frame.width >> d.log2_chroma_w) : frame.width;
    const int height = chroma ? -(-frame.height >> d.log2_chroma_h) : frame.height;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const double eight_bits = chroma ? 128.0 : black + range * picture(x, y);
        const int value = static_cast<int>(eight_bits * (1 << (depth - 8)));
        std::uint8_t* at =
            frame.data[comp.plane] + y * frame.linesize[comp.plane] + x * comp.step + comp.offset;
        at[0] = static_cast<std::uint8_t>(value);
        if (depth > 8) at[1] = static_cast<std::uint8_t>(value >> 8);
      }
    }
  }
}

struct Pixels {
  AVPixelFormat format = AV_PIX_FMT_YUV420P;
  AVColorRange range = AVCOL_RANGE_MPEG;
  int width = kWidth;
  int height = kHeight;
};

class Film {
 public:
  explicit Film(Pixels pixels = {}) : pixels_(pixels) { av_log_set_level(AV_LOG_QUIET); }

  /// `n` frames of `picture`, ten a second.
  void show(const Picture& picture, int n) {
    FramePtr frame(av_frame_alloc());
    frame->format = pixels_.format;
    frame->color_range = pixels_.range;
    frame->width = pixels_.width;
    frame->height = pixels_.height;
    ASSERT_GE(av_frame_get_buffer(frame.get(), 0), 0);
    fill(*frame, picture);
    // What a file claims of itself is not a measurement.
    av_dict_set(&frame->metadata, "lavfi.black_start", "0", 0);
    for (int i = 0; i < n; ++i, ++n_shown_) {
      const auto pushed = meter_.push(*frame, n_shown_ / 10.0);
      ASSERT_TRUE(pushed.has_value()) << pushed.error().message;
    }
  }
  void change(Pixels pixels) { pixels_ = pixels; }

  VideoFacts finish(std::uint32_t orientation = 1) {
    VideoFacts facts;
    const auto done = meter_.finish(n_shown_ / 10.0, orientation, facts);
    EXPECT_TRUE(done.has_value()) << done.error().message;
    return facts;
  }

 private:
  Pixels pixels_;
  PictureMeter meter_;
  int n_shown_ = 0;
};

void expect_spans(const std::vector<TimeSpan>& got,
                  const std::vector<std::pair<double, double>>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i].start_s, expected[i].first, 1e-5) << i;
    EXPECT_NEAR(got[i].end_s, expected[i].second, 1e-5) << i;
  }
}

TEST(PictureMeter, FindsBlackFrozenAndCuts) {
  Film film;
  film.show(flat(0.0), 5);                                              // half a second
  film.show(noise(1), 20);                                              // two seconds of a still
  film.show(noise(2), 5);                                               // too short to be frozen
  for (std::uint32_t i = 0; i < 10; ++i) film.show(noise(100 + i), 1);  // wild motion, no cuts
  const VideoFacts facts = film.finish();
  EXPECT_TRUE(facts.first_frame_black.value());
  expect_spans(facts.black, {{0.0, 0.5}});
  expect_spans(facts.frozen, {{0.5, 2.5}});
  ASSERT_GE(facts.cuts.size(), 2u);
  EXPECT_NEAR(facts.cuts[0].time_s, 0.5, 1e-5);
  EXPECT_GT(facts.cuts[0].score, 10.0);
  EXPECT_LE(facts.cuts[0].score, 100.0);
  EXPECT_NEAR(facts.cuts[1].time_s, 2.5, 1e-5);
  EXPECT_LE(facts.cuts.size(), 3u);
}

TEST(PictureMeter, WhatLastsToTheEndEndsThere) {
  Film film;
  film.show(noise(1), 3);
  film.show(flat(0.05), 12);
  const VideoFacts facts = film.finish();
  EXPECT_FALSE(facts.first_frame_black.value());
  expect_spans(facts.black, {{0.3, 1.5}});
  expect_spans(facts.frozen, {{0.3, 1.5}});
}

TEST(PictureMeter, ASecondIsFrozenAndNineTenthsAreNot) {
  for (const int n : {9, 10}) {
    Film film;
    film.show(noise(1), n);
    EXPECT_EQ(film.finish().frozen.size(), n == 10 ? 1u : 0u) << n;
  }
}

TEST(PictureMeter, StillsInARowAreSpansOfTheirOwn) {
  Film film;
  film.show(noise(1), 15);
  film.show(noise(2), 15);
  expect_spans(film.finish().frozen, {{0.0, 1.5}, {1.5, 3.0}});
}

TEST(PictureMeter, ASingleBlackFrameIsASpanAtTenASecond) {
  Film film;
  film.show(noise(1), 3);
  film.show(flat(0.0), 1);
  film.show(noise(2), 3);
  expect_spans(film.finish().black, {{0.3, 0.4}});
}

TEST(PictureMeter, BlackIsUnderATenthInEveryFormatAndRange) {
  for (const Pixels& pixels :
       {Pixels{AV_PIX_FMT_YUV420P, AVCOL_RANGE_MPEG}, Pixels{AV_PIX_FMT_YUV420P, AVCOL_RANGE_JPEG},
        Pixels{AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG},
        Pixels{AV_PIX_FMT_YUV422P10, AVCOL_RANGE_MPEG},
        Pixels{AV_PIX_FMT_YUV444P12, AVCOL_RANGE_UNSPECIFIED}, Pixels{AV_PIX_FMT_NV12},
        Pixels{AV_PIX_FMT_GBRP, AVCOL_RANGE_UNSPECIFIED},
        Pixels{AV_PIX_FMT_RGB24, AVCOL_RANGE_UNSPECIFIED}, Pixels{AV_PIX_FMT_YUVA420P}}) {
    const char* name = av_get_pix_fmt_name(pixels.format);
    Film dark(pixels);
    dark.show(flat(0.085), 3);
    EXPECT_EQ(dark.finish().black.size(), 1u) << name << " " << pixels.range;
    Film dim(pixels);
    dim.show(flat(0.125), 3);
    EXPECT_EQ(dim.finish().black.size(), 0u) << name << " " << pixels.range;
    Film lit(pixels);
    lit.show(barred(noise(1)), 2);
    const auto bars = lit.finish().letterbox;
    ASSERT_TRUE(bars.has_value()) << name;
    EXPECT_EQ(bars->top, 6u) << name;
    EXPECT_EQ(bars->left, 3u) << name;
  }
}

TEST(PictureMeter, FindsBarsAndTurnsThemWithThePicture) {
  for (const std::uint32_t orientation : {1u, 3u, 6u, 8u}) {
    Film film;
    film.show(flat(0.0), 1);  // a black frame says nothing about bars
    for (std::uint32_t i = 1; i < 5; ++i) film.show(barred(noise(i)), 1);
    const auto bars = film.finish(orientation).letterbox;
    ASSERT_TRUE(bars.has_value());
    const std::vector<std::uint32_t> found = {bars->top, bars->right, bars->bottom, bars->left};
    const auto expected = [&]() -> std::vector<std::uint32_t> {
      switch (orientation) {
        case 3:
          return {2, 3, 6, 0};
        case 6:
          return {3, 6, 0, 2};  // a quarter turn to the right: the left side is on top
        case 8:
          return {0, 2, 3, 6};
        default:
          return {6, 0, 2, 3};
      }
    }();
    EXPECT_EQ(found, expected) << orientation;
  }
}

TEST(PictureMeter, BarsThatOneFrameFillsAreNone) {
  Film film;
  film.show(barred(noise(1)), 5);
  film.show(noise(2), 1);
  const auto bars = film.finish().letterbox;
  ASSERT_TRUE(bars.has_value());
  EXPECT_EQ(bars->top + bars->bottom + bars->left + bars->right, 0u);
}

TEST(PictureMeter, AnAllBlackFilmHasNoBars) {
  Film film;
  film.show(flat(0.0), 10);
  const VideoFacts facts = film.finish();
  EXPECT_FALSE(facts.letterbox.has_value());
  expect_spans(facts.black, {{0.0, 1.0}});
}

TEST(PictureMeter, FramesMayChangeTheirSizeAndFormatOnTheWay) {
  Film film;
  film.show(barred(noise(1)), 12);
  film.change({.width = 2 * kWidth, .height = 31});
  film.show(flat(0.0), 4);
  film.change({.format = AV_PIX_FMT_YUV444P10, .width = 17, .height = 1});
  film.show(noise(3), 11);
  const VideoFacts facts = film.finish();
  EXPECT_FALSE(facts.first_frame_black.value());
  expect_spans(facts.frozen, {{0.0, 1.2}, {1.6, 2.7}});
  expect_spans(facts.black, {{1.2, 1.6}});
  EXPECT_EQ(facts.letterbox.value().top, 6u);
}

TEST(PictureMeter, AFilmWithoutFramesHasNoFacts) {
  const VideoFacts facts = Film().finish();
  EXPECT_FALSE(facts.first_frame_black.has_value());
  EXPECT_TRUE(facts.black.empty());
}

}  // namespace
}  // namespace preflight::media
