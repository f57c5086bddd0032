// What the child knows without a codec library: kinds of files, orientation.

#include <random>
#include <string_view>

#include <gtest/gtest.h>

#include "engine/media/decoder/exif.h"
#include "engine/media/decoder/sniff.h"

namespace preflight::media {
namespace {

using namespace std::string_view_literals;

FileKind kind_of(std::string_view bytes) {
  return sniff({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}

TEST(Sniff, KnowsWhatPeopleSendByMistake) {
  EXPECT_EQ(kind_of(""), FileKind::kEmpty);
  EXPECT_EQ(kind_of("\0\0\0\0\0\0\0\0"sv), FileKind::kZeros);
  EXPECT_EQ(kind_of("Your 8am is about to get easier.\n"), FileKind::kText);
  EXPECT_EQ(kind_of("Gr\xc3\xbc\xc3\x9f\x65"), FileKind::kText);
  EXPECT_EQ(kind_of("BM is how this text begins"), FileKind::kText);
  EXPECT_EQ(kind_of("<!DOCTYPE html><html>"), FileKind::kHtml);
  EXPECT_EQ(kind_of("\n{\"error\": \"not found\"}"), FileKind::kJson);
  EXPECT_EQ(kind_of("%PDF-1.7"), FileKind::kPdf);
  EXPECT_EQ(kind_of("PK\3\4rest"), FileKind::kZip);
  EXPECT_EQ(kind_of("GIF89a"), FileKind::kGif);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0WEBPVP8 "sv), FileKind::kWebp);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0WAVEfmt "sv), FileKind::kWav);
  EXPECT_EQ(kind_of("RIFF\x10\0\0\0AVI LIST"sv), FileKind::kAvi);
  EXPECT_EQ(kind_of("\0\0\0\x18"
                    "ftypheic"sv),
            FileKind::kHeif);
  EXPECT_EQ(kind_of("\0\0\0\x18"
                    "ftypisom"sv),
            FileKind::kIsoMedia);
  EXPECT_EQ(kind_of("\xff\xfb\x90\x00rest"sv), FileKind::kMp3);
  EXPECT_EQ(kind_of("\xff\xf1\x50\x80rest"sv), FileKind::kAac);
  EXPECT_EQ(kind_of("\x01\x02\x03\xff\xfe"sv), FileKind::kUnknown);
}

std::vector<std::uint8_t> exif_block(bool big_endian, std::uint16_t orientation) {
  const auto u16 = [&](std::uint16_t value) {
    const auto high = static_cast<std::uint8_t>(value >> 8);
    const auto low = static_cast<std::uint8_t>(value);
    return big_endian ? std::vector<std::uint8_t>{high, low} : std::vector<std::uint8_t>{low, high};
  };
  std::vector<std::uint8_t> block = {'E', 'x', 'i', 'f', 0, 0};
  const auto add = [&](const std::vector<std::uint8_t>& bytes) {
    block.insert(block.end(), bytes.begin(), bytes.end());
  };
  add(big_endian ? std::vector<std::uint8_t>{'M', 'M'} : std::vector<std::uint8_t>{'I', 'I'});
  add(u16(42));
  add(big_endian ? std::vector<std::uint8_t>{0, 0, 0, 8} : std::vector<std::uint8_t>{8, 0, 0, 0});
  add(u16(1));
  add(u16(0x0112));
  add(u16(3));
  add(big_endian ? std::vector<std::uint8_t>{0, 0, 0, 1} : std::vector<std::uint8_t>{1, 0, 0, 0});
  add(u16(orientation));
  add({0, 0});
  return block;
}

TEST(Exif, ReadsOrientationInBothByteOrders) {
  for (std::uint16_t orientation = 1; orientation <= 8; ++orientation) {
    EXPECT_EQ(exif_orientation(exif_block(true, orientation)), orientation);
    EXPECT_EQ(exif_orientation(exif_block(false, orientation)), orientation);
  }
  EXPECT_EQ(exif_orientation(exif_block(true, 0)), 1u);
  EXPECT_EQ(exif_orientation(exif_block(true, 9)), 1u);
}

TEST(Exif, ADamagedBlockIsNoOrientationAndNoCrash) {
  const auto whole = exif_block(true, 6);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const std::uint32_t found = exif_orientation(std::span(whole).first(n));
    EXPECT_TRUE(found == 1 || found == 6) << n;
  }
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    auto block = whole;
    block[random() % block.size()] = static_cast<std::uint8_t>(random());
    const std::uint32_t found = exif_orientation(block);
    EXPECT_TRUE(found >= 1 && found <= 8);
  }
}

TEST(Exif, EveryOrientationComesUpright) {
  // The upright picture: 3 wide, 2 high, values 1..6 in red.
  //   1 2 3
  //   4 5 6
  const auto stored = [](std::uint32_t width, std::vector<std::uint8_t> reds) {
    RgbImage image{
        .width = width, .height = static_cast<std::uint32_t>(reds.size()) / width, .pixels = {}};
    for (const std::uint8_t red : reds) image.pixels.insert(image.pixels.end(), {red, 0, 0});
    return image;
  };
  const std::vector<RgbImage> by_orientation = {
      stored(3, {1, 2, 3, 4, 5, 6}), stored(3, {3, 2, 1, 6, 5, 4}), stored(3, {6, 5, 4, 3, 2, 1}),
      stored(3, {4, 5, 6, 1, 2, 3}), stored(2, {1, 4, 2, 5, 3, 6}), stored(2, {3, 6, 2, 5, 1, 4}),
      stored(2, {6, 3, 5, 2, 4, 1}), stored(2, {4, 1, 5, 2, 6, 3})};
  for (std::uint32_t orientation = 1; orientation <= 8; ++orientation) {
    const RgbImage out = upright(by_orientation[orientation - 1], orientation);
    EXPECT_EQ(out.width, 3u) << orientation;
    EXPECT_EQ(out.pixels, by_orientation[0].pixels) << orientation;
  }
}

}  // namespace
}  // namespace preflight::media
