#include "engine/media/decoder/picture.h"

#include <utility>

#include <fmt/format.h>

#include "engine/media/decoder/exif.h"

namespace preflight::media {
namespace {

Result<StoredPicture> read_stored(const Input& input, std::uint64_t max_pixels) {
  switch (input.kind()) {
    case FileKind::kPng:
      return read_png(input, max_pixels);
    case FileKind::kJpeg:
      return read_jpeg(input, max_pixels);
    case FileKind::kWebp:
      return read_webp(input, max_pixels);
    case FileKind::kEmpty:
      return fail(ErrorCode::kInvalidInput, "is empty");
    case FileKind::kGif:
    case FileKind::kBmp:
    case FileKind::kTiff:
    case FileKind::kHeif:
    case FileKind::kAvif:
    case FileKind::kSvg:
      return fail(ErrorCode::kUnsupported,
                  fmt::format("is {}; PNG, JPEG and WebP are read", describe(input.kind())));
    default:
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("is not a picture: it is {}", describe(input.kind())));
  }
}

std::string format_name(FileKind kind) {
  if (kind == FileKind::kPng) return "png";
  return kind == FileKind::kJpeg ? "jpeg" : "webp";
}

}  // namespace

Result<void> check_picture_size(std::uint64_t width, std::uint64_t height,
                                std::uint64_t max_pixels) {
  if (width == 0 || height == 0) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("has {}x{} pixels, nothing to look at", width, height));
  }
  if (width > max_pixels / height) {
    return fail(ErrorCode::kLimit,
                fmt::format("has {}x{} pixels ({:.3g} million); at most {:.3g} million are read",
                            width, height, static_cast<double>(width * height) / 1e6,
                            static_cast<double>(max_pixels) / 1e6));
  }
  return {};
}

Result<DecodedImage> read_picture(const Input& input, const DecodeLimits& limits) {
  const bool readable = input.kind() == FileKind::kPng || input.kind() == FileKind::kJpeg ||
                        input.kind() == FileKind::kWebp;
  if (readable && input.size_bytes() > limits.image_bytes) {
    return fail(ErrorCode::kLimit, fmt::format("is a picture of {} MiB; at most {} MiB are read",
                                               input.size_bytes() >> 20, limits.image_bytes >> 20));
  }
  PREFLIGHT_TRY(StoredPicture stored, read_stored(input, limits.image_pixels));
  return DecodedImage{.picture = upright(std::move(stored.picture), stored.orientation),
                      .format = format_name(input.kind()),
                      .orientation = stored.orientation,
                      .had_alpha = stored.had_alpha,
                      .frames_left_out = stored.n_frames - 1};
}

}  // namespace preflight::media
