#pragma once

#include <array>
#include <cstdint>

#include "engine/media/media.h"
#include "vk/error.h"

/// From a decoded picture to patches: size, resize, cut (docs/multimodal.md, images).
namespace preflight::media {

/// Soft tokens a picture may cost at most. Any other number is refused.
inline constexpr std::array<std::uint32_t, 5> kImageBudgets = {70, 140, 280, 560, 1120};
inline constexpr std::uint32_t kDefaultImageBudget = 280;
inline constexpr std::uint32_t kDefaultVideoBudget = 70;

struct Size {
  std::uint32_t width = 0;
  std::uint32_t height = 0;
  bool operator==(const Size&) const = default;
};

/// The size a picture is stretched to: multiples of 48 that fill the budget and keep the aspect
/// ratio up to that grid. Tokens = width/48 * height/48 <= budget. Small pictures are enlarged.
/// Errors: kInvalidInput for a budget outside kImageBudgets or an empty picture.
Result<Size> target_size(Size source, std::uint32_t budget);

/// Bicubic (a = -0.5) with antialias in integer arithmetic, horizontally first, bytes between the
/// two passes; bit-exact with the model's reference preprocessing. A picture that already has the
/// size comes back unchanged. `target` must not be empty.
RgbImage resize(const RgbImage& source, Size target);

/// Cuts a picture whose sides are multiples of 48 into patches. source_width and source_height are
/// set to the picture's own size; a caller that resized overwrites them.
ImagePatches cut_patches(const RgbImage& picture);

/// target_size, resize and cut_patches in one: what a decoded picture becomes.
Result<ImagePatches> image_patches(const RgbImage& picture, std::uint32_t budget);

}  // namespace preflight::media
