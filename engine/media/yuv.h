#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/media/media.h"

namespace preflight::media {

/// Which matrix a film's colours were coded with.
enum class YuvMatrix { kBt601, kBt709, kFcc, kSmpte240, kBt2020 };

/// One 8-bit planar frame; borrowed.
struct YuvFrame {
  std::uint32_t width = 0;  ///< luma samples
  std::uint32_t height = 0;
  const std::uint8_t* planes[3] = {};
  std::ptrdiff_t strides_bytes[3] = {};
  std::uint32_t chroma_shift_x = 1;  ///< log2: 1 and 1 for 4:2:0
  std::uint32_t chroma_shift_y = 1;
  YuvMatrix matrix = YuvMatrix::kBt601;
  bool full_range = false;
};

/// To RGB in 16-bit integer arithmetic, every chroma sample repeated, not interpolated: bit for bit
/// what the golden frames were made with (docs/multimodal.md, films).
RgbImage yuv_to_rgb(const YuvFrame& frame);

}  // namespace preflight::media
