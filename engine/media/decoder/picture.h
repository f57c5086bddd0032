#pragma once

#include <cstdint>
#include <string>

#include "engine/media/decoder.h"
#include "engine/media/decoder/input.h"
#include "vk/error.h"

/// Still pictures, each format by its own reference library: libjpeg-turbo, libpng, libwebp. Error
/// messages are clauses that follow the file's name.
namespace preflight::media {

/// What the decoders agree on before orientation is applied.
struct StoredPicture {
  RgbImage picture;
  std::uint32_t orientation = 1;
  bool had_alpha = false;
  std::uint64_t n_frames = 1;  ///< of an animation
};

/// kLimit with a clause when width * height passes the limit; kInvalidInput for an empty picture.
Result<void> check_picture_size(std::uint64_t width, std::uint64_t height,
                                std::uint64_t max_pixels);

Result<StoredPicture> read_jpeg(const Input& input, std::uint64_t max_pixels);
Result<StoredPicture> read_png(const Input& input, std::uint64_t max_pixels);
Result<StoredPicture> read_webp(const Input& input, std::uint64_t max_pixels);

/// Any of the three, upright. Errors name what the file is if it is something else.
Result<DecodedImage> read_picture(const Input& input, const DecodeLimits& limits);

}  // namespace preflight::media
