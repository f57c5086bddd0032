#include "engine/media/image.h"

#include <algorithm>
#include <cstdint>
#include <random>

#include <gtest/gtest.h>

namespace preflight::media {
namespace {

RgbImage noise(std::uint32_t width, std::uint32_t height, std::uint32_t seed) {
  std::mt19937 random(seed);
  RgbImage image{.width = width, .height = height, .pixels = {}};
  image.pixels.resize(std::size_t{3} * width * height);
  for (std::uint8_t& value : image.pixels) value = static_cast<std::uint8_t>(random());
  return image;
}

struct SizeCase {
  std::uint32_t height, width, budget, want_height, want_width;
};

class TargetSize : public testing::TestWithParam<SizeCase> {};

TEST_P(TargetSize, IsTheReferences) {
  const SizeCase& c = GetParam();
  const auto size = target_size({.width = c.width, .height = c.height}, c.budget);
  ASSERT_TRUE(size.has_value()) << size.error().message;
  EXPECT_EQ(size->height, c.want_height);
  EXPECT_EQ(size->width, c.want_width);
}
// docs/multimodal.md, images: the table, the three that float32 gets wrong, strips and a dot.
INSTANTIATE_TEST_SUITE_P(
    Table, TargetSize,
    testing::Values(SizeCase{1080, 1920, 70, 288, 528}, SizeCase{1080, 1920, 140, 384, 720},
                    SizeCase{720, 1280, 280, 576, 1056}, SizeCase{2160, 3840, 560, 816, 1488},
                    SizeCase{1080, 1920, 1120, 1200, 2112}, SizeCase{1920, 1080, 70, 528, 288},
                    SizeCase{1920, 1080, 1120, 2112, 1200}, SizeCase{480, 640, 70, 336, 432},
                    SizeCase{480, 640, 140, 480, 624}, SizeCase{3000, 4000, 280, 672, 912},
                    SizeCase{480, 640, 560, 960, 1296}, SizeCase{480, 640, 1120, 1344, 1824},
                    SizeCase{500, 500, 70, 384, 384}, SizeCase{500, 500, 140, 528, 528},
                    SizeCase{500, 500, 280, 768, 768}, SizeCase{500, 500, 560, 1104, 1104},
                    SizeCase{500, 500, 1120, 1584, 1584}, SizeCase{1754, 1240, 70, 432, 336},
                    SizeCase{1754, 1240, 140, 672, 432}, SizeCase{1754, 1240, 280, 912, 672},
                    SizeCase{1754, 1240, 560, 1344, 912}, SizeCase{1754, 1240, 1120, 1872, 1344},
                    SizeCase{140, 200, 70, 336, 480}, SizeCase{80, 1400, 70, 96, 1680},
                    SizeCase{1300, 1820, 140, 432, 624}, SizeCase{1, 1, 280, 768, 768},
                    SizeCase{1, 10000, 280, 48, 13440}, SizeCase{1, 10000, 70, 48, 3360},
                    SizeCase{10000, 1, 70, 3360, 48}));

TEST(TargetSize, NeverCostsMoreThanItsBudget) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    const Size source{.width = 1 + static_cast<std::uint32_t>(random() % 9000),
                      .height = 1 + static_cast<std::uint32_t>(random() % 9000)};
    const std::uint32_t budget = kImageBudgets.at(random() % kImageBudgets.size());
    const auto size = target_size(source, budget);
    ASSERT_TRUE(size.has_value());
    ASSERT_TRUE(size->width > 0 && size->width % 48 == 0);
    ASSERT_TRUE(size->height > 0 && size->height % 48 == 0);
    ASSERT_LE((size->width / 48) * (size->height / 48), budget)
        << source.width << "x" << source.height << " at " << budget;
  }
}

TEST(TargetSize, RefusesOtherBudgetsAndEmptyPictures) {
  EXPECT_EQ(target_size({.width = 10, .height = 10}, 100).error().message,
            "image budget 100 is none of 70, 140, 280, 560, 1120");
  EXPECT_FALSE(target_size({.width = 0, .height = 10}, 70).has_value());
}

TEST(Resize, LeavesAPictureOfTheRightSizeAlone) {
  const RgbImage image = noise(96, 48, 2);
  EXPECT_EQ(resize(image, {.width = 96, .height = 48}).pixels, image.pixels);
}

TEST(Resize, KeepsAPlainColourPlain) {
  RgbImage image{.width = 37, .height = 91, .pixels = {}};
  for (int i = 0; i < 37 * 91; ++i) image.pixels.insert(image.pixels.end(), {200, 3, 255});
  for (const Size size : {Size{.width = 480, .height = 48}, Size{.width = 5, .height = 7}}) {
    const RgbImage out = resize(image, size);
    for (std::size_t i = 0; i < out.pixels.size(); i += 3) {
      ASSERT_EQ(out.pixels[i], 200);
      ASSERT_EQ(out.pixels[i + 1], 3);
      ASSERT_EQ(out.pixels[i + 2], 255);
    }
  }
}

TEST(Resize, MirrorsWithItsInput) {
  const RgbImage image = noise(61, 40, 3);
  const auto mirrored = [](const RgbImage& in) {
    RgbImage out = in;
    for (std::size_t y = 0; y < in.height; ++y) {
      for (std::size_t x = 0; x < in.width; ++x) {
        std::copy_n(in.pixels.begin() + static_cast<std::ptrdiff_t>((y * in.width + x) * 3), 3,
                    out.pixels.begin() +
                        static_cast<std::ptrdiff_t>((y * in.width + in.width - 1 - x) * 3));
      }
    }
    return out;
  };
  const Size size{.width = 144, .height = 96};
  const RgbImage a = resize(mirrored(image), size);
  const RgbImage b = mirrored(resize(image, size));
  // The weights of mirrored positions may round one step apart.
  for (std::size_t i = 0; i < a.pixels.size(); ++i) ASSERT_NEAR(a.pixels[i], b.pixels[i], 1);
}

TEST(Patches, StandInRasterOrderWithTheChannelFastest) {
  // Every pixel tells where it is: red the column, green the row, blue column + row.
  RgbImage image{.width = 144, .height = 96, .pixels = {}};
  for (std::uint32_t y = 0; y < image.height; ++y) {
    for (std::uint32_t x = 0; x < image.width; ++x) {
      image.pixels.push_back(static_cast<std::uint8_t>(x));
      image.pixels.push_back(static_cast<std::uint8_t>(y));
      image.pixels.push_back(static_cast<std::uint8_t>(x + y));
    }
  }
  const ImagePatches patches = cut_patches(image);
  EXPECT_EQ(patches.columns, 3u);
  EXPECT_EQ(patches.rows, 2u);
  ASSERT_EQ(patches.patches.size(), 6u * kPatchValues);
  for (const std::uint32_t t : {0u, 1u, 2u, 3u, 5u}) {
    for (const std::uint32_t row : {0u, 1u, 47u}) {
      for (const std::uint32_t column : {0u, 1u, 47u}) {
        const std::uint32_t x = t % 3 * 48 + column;
        const std::uint32_t y = t / 3 * 48 + row;
        const float* value = patches.patches.data() + t * kPatchValues + (row * 48 + column) * 3;
        EXPECT_FLOAT_EQ(value[0] * 255.0f, static_cast<float>(x));
        EXPECT_FLOAT_EQ(value[1] * 255.0f, static_cast<float>(y));
        EXPECT_FLOAT_EQ(value[2] * 255.0f, static_cast<float>(x + y));
      }
    }
  }
}

TEST(Patches, RememberTheSizeBeforeTheResize) {
  const auto patches = image_patches(noise(20, 30, 4), 70);
  ASSERT_TRUE(patches.has_value());
  EXPECT_EQ(patches->source_width, 20u);
  EXPECT_EQ(patches->source_height, 30u);
  EXPECT_EQ(patches->n_tokens(), 60u);  // 10 rows of 6
}

}  // namespace
}  // namespace preflight::media
