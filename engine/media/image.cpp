#include "engine/media/image.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace preflight::media {
namespace {

/// The taps of one output position: `count` weights beginning at input position `first`.
struct Taps {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
  std::size_t weights_ix = 0;
};

/// The filter of one axis with its weights scaled to `precision` bits.
struct AxisFilter {
  std::vector<Taps> taps;
  std::vector<std::int32_t> weights;
  std::uint32_t precision = 0;
};

double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return a * (((x - 5.0) * x + 8.0) * x - 4.0);
  return 0.0;
}

AxisFilter axis_filter(std::uint32_t n_in, std::uint32_t n_out) {
  const double scale = static_cast<double>(n_in) / static_cast<double>(n_out);
  const double filter_scale = std::max(scale, 1.0);
  const double support = 2.0 * filter_scale;

  AxisFilter filter;
  filter.taps.reserve(n_out);
  std::vector<double> exact;
  double largest = 0.0;
  for (std::uint32_t i = 0; i < n_out; ++i) {
    const double center = scale * (i + 0.5);
    const auto lo = static_cast<std::int64_t>(center - support + 0.5);
    const auto hi = static_cast<std::int64_t>(center + support + 0.5);
    const auto first = static_cast<std::uint32_t>(std::max<std::int64_t>(lo, 0));
    const auto last = static_cast<std::uint32_t>(std::min<std::int64_t>(hi, n_in));
    Taps taps{.first = first, .count = last - first, .weights_ix = exact.size()};
    double sum = 0.0;
    for (std::uint32_t j = first; j < last; ++j) {
      const double weight = cubic((j - center + 0.5) / filter_scale);
      exact.push_back(weight);
      sum += weight;
    }
    for (std::size_t k = taps.weights_ix; k < exact.size(); ++k) {
      exact[k] /= sum;
      largest = std::max(largest, exact[k]);
    }
    filter.taps.push_back(taps);
  }

  // As many bits as let every weight fit in 16 bits with its sign, as the reference does it.
  while (filter.precision < 22 &&
         std::trunc(0.5 + largest * std::ldexp(1.0, static_cast<int>(filter.precision) + 1)) <
             32768.0) {
    ++filter.precision;
  }
  filter.weights.reserve(exact.size());
  const double unit = std::ldexp(1.0, static_cast<int>(filter.precision));
  for (const double weight : exact) {
    filter.weights.push_back(
        static_cast<std::int32_t>(std::trunc(weight * unit + (weight < 0.0 ? -0.5 : 0.5))));
  }
  return filter;
}

std::uint8_t to_byte(std::int32_t sum, std::uint32_t precision) {
  return static_cast<std::uint8_t>(std::clamp(sum >> precision, 0, 255));
}

RgbImage resize_width(const RgbImage& source, std::uint32_t width) {
  const AxisFilter filter = axis_filter(source.width, width);
  const std::int32_t half = filter.precision > 0 ? 1 << (filter.precision - 1) : 0;
  RgbImage out{.width = width, .height = source.height, .pixels = {}};
  out.pixels.resize(std::size_t{3} * width * source.height);
  for (std::size_t y = 0; y < source.height; ++y) {
    const std::uint8_t* row = source.pixels.data() + y * source.width * 3;
    std::uint8_t* to = out.pixels.data() + y * width * 3;
    for (const Taps& taps : filter.taps) {
      std::int32_t sum[3] = {half, half, half};
      const std::uint8_t* from = row + std::size_t{taps.first} * 3;
      for (std::uint32_t k = 0; k < taps.count; ++k, from += 3) {
        const std::int32_t weight = filter.weights[taps.weights_ix + k];
        for (std::size_t c = 0; c < 3; ++c) sum[c] += from[c] * weight;
      }
      for (const std::int32_t s : sum) *to++ = to_byte(s, filter.precision);
    }
  }
  return out;
}

RgbImage resize_height(const RgbImage& source, std::uint32_t height) {
  const AxisFilter filter = axis_filter(source.height, height);
  const std::int32_t half = filter.precision > 0 ? 1 << (filter.precision - 1) : 0;
  const std::size_t row_values = std::size_t{source.width} * 3;
  RgbImage out{.width = source.width, .height = height, .pixels = {}};
  out.pixels.resize(row_values * height);
  std::vector<std::int32_t> sums(row_values);
  for (std::size_t y = 0; y < height; ++y) {
    const Taps& taps = filter.taps[y];
    std::fill(sums.begin(), sums.end(), half);
    for (std::uint32_t k = 0; k < taps.count; ++k) {
      const std::int32_t weight = filter.weights[taps.weights_ix + k];
      const std::uint8_t* from = source.pixels.data() + (taps.first + k) * row_values;
      for (std::size_t i = 0; i < row_values; ++i) sums[i] += from[i] * weight;
    }
    std::uint8_t* to = out.pixels.data() + y * row_values;
    for (std::size_t i = 0; i < row_values; ++i) to[i] = to_byte(sums[i], filter.precision);
  }
  return out;
}

}  // namespace

Result<Size> target_size(Size source, std::uint32_t budget) {
  if (std::find(kImageBudgets.begin(), kImageBudgets.end(), budget) == kImageBudgets.end()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("image budget {} is none of 70, 140, 280, 560, 1120", budget));
  }
  if (source.width == 0 || source.height == 0) {
    return fail(ErrorCode::kInvalidInput, fmt::format("a picture of {}x{} pixels has no content",
                                                      source.width, source.height));
  }
  // The order of these float64 operations decides on which side of a whole number a size lands.
  const auto W = static_cast<double>(source.width);
  const auto H = static_cast<double>(source.height);
  const double f = std::sqrt(static_cast<double>(budget * 9 * 256) / (H * W));
  auto h = static_cast<std::uint64_t>(std::floor(f * H / kPatchSide)) * kPatchSide;
  auto w = static_cast<std::uint64_t>(std::floor(f * W / kPatchSide)) * kPatchSide;
  const std::uint64_t longest = std::uint64_t{budget} * kPatchSide;
  if (h == 0) {
    h = kPatchSide;
    w = std::min(std::uint64_t{source.width / source.height} * kPatchSide, longest);
  } else if (w == 0) {
    w = kPatchSide;
    h = std::min(std::uint64_t{source.height / source.width} * kPatchSide, longest);
  }
  PREFLIGHT_ASSERT(w > 0 && h > 0 && w * h <= longest * kPatchSide);
  return Size{.width = static_cast<std::uint32_t>(w), .height = static_cast<std::uint32_t>(h)};
}

RgbImage resize(const RgbImage& source, Size target) {
  PREFLIGHT_ASSERT(source.width > 0 && source.height > 0 && target.width > 0 && target.height > 0);
  PREFLIGHT_ASSERT(source.pixels.size() == std::size_t{3} * source.width * source.height);
  if (source.width == target.width) {
    return source.height == target.height ? source : resize_height(source, target.height);
  }
  RgbImage wide = resize_width(source, target.width);
  if (source.height == target.height) return wide;
  return resize_height(wide, target.height);
}

ImagePatches cut_patches(const RgbImage& picture) {
  PREFLIGHT_ASSERT(picture.width > 0 && picture.width % kPatchSide == 0);
  PREFLIGHT_ASSERT(picture.height > 0 && picture.height % kPatchSide == 0);
  PREFLIGHT_ASSERT(picture.pixels.size() == std::size_t{3} * picture.width * picture.height);
  ImagePatches out{.columns = picture.width / kPatchSide,
                   .rows = picture.height / kPatchSide,
                   .patches = {},
                   .source_width = picture.width,
                   .source_height = picture.height};
  out.patches.resize(picture.pixels.size());
  constexpr float kUnit = 1.0f / 255.0f;
  constexpr std::size_t kRowValues = std::size_t{kPatchSide} * 3;
  float* to = out.patches.data();
  for (std::size_t ty = 0; ty < out.rows; ++ty) {
    for (std::size_t tx = 0; tx < out.columns; ++tx) {
      for (std::size_t row = 0; row < kPatchSide; ++row) {
        const std::uint8_t* from =
            picture.pixels.data() + (ty * kPatchSide + row) * picture.width * 3 + tx * kRowValues;
        for (std::size_t i = 0; i < kRowValues; ++i) *to++ = static_cast<float>(from[i]) * kUnit;
      }
    }
  }
  return out;
}

Result<ImagePatches> image_patches(const RgbImage& picture, std::uint32_t budget) {
  PREFLIGHT_TRY(const Size target,
                target_size({.width = picture.width, .height = picture.height}, budget));
  ImagePatches out = cut_patches(resize(picture, target));
  out.source_width = picture.width;
  out.source_height = picture.height;
  return out;
}

}  // namespace preflight::media
