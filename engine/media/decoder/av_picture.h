#pragma once

#include <cstdint>

extern "C" {
#include <libavformat/avformat.h>
#include <libavutil/frame.h>
}

#include "engine/media/decoder/picture_meter.h"
#include "engine/media/media.h"
#include "vk/error.h"

namespace preflight::media {

/// A frame as RGB at its own size. 8-bit planar Y'CbCr by yuv.h, bit for bit as documented; every
/// other pixel format through libswscale.
Result<RgbImage> frame_to_rgb(const AVFrame& frame);

/// The brightness of every pixel, 8 bits of it; range as the film has it.
Result<void> frame_to_luma(const AVFrame& frame, LumaPlane& out);

/// The EXIF-style orientation (1..8) that a track's display matrix asks for; 1 without a matrix and
/// for angles that are no quarter turns.
std::uint32_t orientation_of(const AVStream& stream);

}  // namespace preflight::media
