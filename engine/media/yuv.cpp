#include "engine/media/yuv.h"

#include <algorithm>

#include "vk/error.h"

namespace preflight::media {
namespace {

/// 16.16 fixed point: V to red, U to blue, U to green, V to green (the last two subtracted).
struct Matrix {
  std::int64_t vr, ub, ug, vg;
};

Matrix matrix_of(YuvMatrix matrix) {
  switch (matrix) {
    case YuvMatrix::kBt601:
      return {104597, 132201, 25675, 53279};
    case YuvMatrix::kBt709:
      return {117489, 138438, 13975, 34925};
    case YuvMatrix::kFcc:
      return {104448, 132798, 24759, 53109};
    case YuvMatrix::kSmpte240:
      return {117579, 136230, 16907, 35559};
    case YuvMatrix::kBt2020:
      return {110013, 140363, 12277, 42626};
  }
  PREFLIGHT_ASSERT(false);
}

/// 16.16 to 3.13 fixed point, rounded.
std::int32_t to_coefficient(std::int64_t value) {
  return static_cast<std::int32_t>((value * (1 << 13) + (1 << 15)) >> 16);
}

std::uint8_t clamp_byte(std::int32_t value) {
  return static_cast<std::uint8_t>(std::clamp(value, 0, 255));
}

}  // namespace

RgbImage yuv_to_rgb(const YuvFrame& frame) {
  Matrix m = matrix_of(frame.matrix);
  std::int64_t luma = 1 << 16;
  std::int32_t luma_offset = 0;
  if (frame.full_range) {
    m = {m.vr * 224 / 255, m.ub * 224 / 255, m.ug * 224 / 255, m.vg * 224 / 255};
  } else {
    luma = luma * 255 / 219;
    luma_offset = 128;
  }
  const std::int32_t cy = to_coefficient(luma);
  const std::int32_t crv = to_coefficient(m.vr);
  const std::int32_t cbu = to_coefficient(m.ub);
  const std::int32_t cgu = to_coefficient(-m.ug);
  const std::int32_t cgv = to_coefficient(-m.vg);

  RgbImage out{.width = frame.width, .height = frame.height, .pixels = {}};
  out.pixels.resize(std::size_t{3} * frame.width * frame.height);
  std::uint8_t* to = out.pixels.data();
  for (std::uint32_t row = 0; row < frame.height; ++row) {
    const std::uint8_t* ys = frame.planes[0] + frame.strides_bytes[0] * row;
    const std::ptrdiff_t chroma_row = row >> frame.chroma_shift_y;
    const std::uint8_t* us = frame.planes[1] + frame.strides_bytes[1] * chroma_row;
    const std::uint8_t* vs = frame.planes[2] + frame.strides_bytes[2] * chroma_row;
    for (std::uint32_t column = 0; column < frame.width; ++column) {
      const std::int32_t y = (8 * ys[column] - luma_offset) * cy >> 16;
      const std::int32_t u = 8 * us[column >> frame.chroma_shift_x] - 1024;
      const std::int32_t v = 8 * vs[column >> frame.chroma_shift_x] - 1024;
      *to++ = clamp_byte(y + (v * crv >> 16));
      *to++ = clamp_byte(y + (u * cgu >> 16) + (v * cgv >> 16));
      *to++ = clamp_byte(y + (u * cbu >> 16));
    }
  }
  return out;
}

}  // namespace preflight::media
