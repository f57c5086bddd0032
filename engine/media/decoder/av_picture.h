#pragma once

#include <cstdint>

extern "C" {
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
}

#include "engine/media/media.h"
#include "vk/error.h"

namespace preflight::media {

/// A frame as RGB at its own size. 8-bit planar Y'CbCr by yuv.h, bit for bit as documented; every
/// other pixel format through libswscale.
Result<RgbImage> frame_to_rgb(const AVFrame& frame);

/// The EXIF-style orientation (1..8) that a track's display matrix asks for; 1 without a matrix and
/// for angles that are no quarter turns.
std::uint32_t orientation_of(const AVStream& stream);

}  // namespace preflight::media
