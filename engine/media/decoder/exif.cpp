#include "engine/media/decoder/exif.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>

namespace preflight::media {
namespace {

constexpr std::uint16_t kTagOrientation = 0x0112;
constexpr std::uint16_t kTypeShort = 3;

/// Reads numbers in the byte order that the TIFF header states.
struct TiffReader {
  std::span<const std::uint8_t> bytes;
  bool big_endian = false;

  std::optional<std::uint16_t> u16(std::size_t at) const {
    if (at > bytes.size() || bytes.size() - at < 2) return std::nullopt;
    const unsigned a = bytes[at];
    const unsigned b = bytes[at + 1];
    return static_cast<std::uint16_t>(big_endian ? a << 8 | b : b << 8 | a);
  }
  std::optional<std::uint32_t> u32(std::size_t at) const {
    const auto a = u16(at);
    const auto b = u16(at + 2);
    if (!a || !b) return std::nullopt;
    const std::uint32_t high = big_endian ? *a : *b;
    const std::uint32_t low = big_endian ? *b : *a;
    return high << 16 | low;
  }
};

}  // namespace

std::uint32_t exif_orientation(std::span<const std::uint8_t> exif) {
  constexpr std::array<std::uint8_t, 6> kPrefix = {'E', 'x', 'i', 'f', 0, 0};
  if (exif.size() >= kPrefix.size() && std::equal(kPrefix.begin(), kPrefix.end(), exif.begin())) {
    exif = exif.subspan(kPrefix.size());
  }
  if (exif.size() < 8) return 1;
  const bool big = exif[0] == 'M' && exif[1] == 'M';
  if (!big && !(exif[0] == 'I' && exif[1] == 'I')) return 1;
  const TiffReader tiff{.bytes = exif, .big_endian = big};
  if (tiff.u16(2) != 42) return 1;
  const auto directory = tiff.u32(4);
  if (!directory) return 1;
  const auto n_entries = tiff.u16(*directory);
  for (std::size_t i = 0; n_entries && i < *n_entries; ++i) {
    const std::size_t entry = std::size_t{*directory} + 2 + i * 12;
    const auto tag = tiff.u16(entry);
    if (!tag) return 1;
    if (*tag != kTagOrientation) continue;
    const auto value = tiff.u16(entry + 8);
    const bool usable = tiff.u16(entry + 2) == kTypeShort && value && *value >= 1 && *value <= 8;
    return usable ? *value : 1;
  }
  return 1;
}

RgbImage upright(RgbImage picture, std::uint32_t orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  const std::size_t w = picture.width;
  const std::size_t h = picture.height;
  const bool swapped = orientation >= 5;
  RgbImage out{.width = swapped ? picture.height : picture.width,
               .height = swapped ? picture.width : picture.height,
               .pixels = {}};
  out.pixels.resize(picture.pixels.size());
  // Orientation says where the stored first row and first column lie: each upright pixel is fetched
  // from stored position (sx, sy).
  std::uint8_t* to = out.pixels.data();
  for (std::size_t y = 0; y < out.height; ++y) {
    for (std::size_t x = 0; x < out.width; ++x) {
      std::size_t sx = swapped ? y : x;
      std::size_t sy = swapped ? x : y;
      if (orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8)
        sx = w - 1 - sx;
      if (orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7)
        sy = h - 1 - sy;
      const std::uint8_t* from = picture.pixels.data() + (sy * w + sx) * 3;
      *to++ = from[0];
      *to++ = from[1];
      *to++ = from[2];
    }
  }
  return out;
}

}  // namespace preflight::media
