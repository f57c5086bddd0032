#pragma once

#include <cstdint>
#include <span>

#include "engine/media/media.h"

namespace preflight::media {

/// The orientation (1..8) in an EXIF block (a TIFF header and its first directory, with or without
/// the six bytes "Exif\0\0" before it); 1 when there is none or the block is damaged.
std::uint32_t exif_orientation(std::span<const std::uint8_t> exif);

/// Turns and mirrors a picture so that it stands upright: what orientation 1..8 asks for.
RgbImage upright(RgbImage picture, std::uint32_t orientation);

}  // namespace preflight::media
