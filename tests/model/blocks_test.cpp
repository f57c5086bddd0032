#include "engine/model/blocks.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/model/half.h"
#include "engine/model/safetensors_file.h"

namespace preflight::model {
namespace {

constexpr TensorType kAllTypes[] = {TensorType::kF32,  TensorType::kF16,    TensorType::kBF16,
                                    TensorType::kQ8_0, TensorType::kQ4_0,   TensorType::kQ4_K,
                                    TensorType::kQ6_K, TensorType::kQ4_1,   TensorType::kQ5_0,
                                    TensorType::kQ5_1, TensorType::kQ2_K,   TensorType::kQ3_K,
                                    TensorType::kQ5_K, TensorType::kIQ4_NL, TensorType::kIQ4_XS};

std::vector<float> floats_of(const SafeTensor& tensor) {
  std::vector<float> out(tensor.bytes.size() / sizeof(float));
  std::memcpy(out.data(), tensor.bytes.data(), tensor.bytes.size());
  return out;
}

std::vector<std::uint32_t> bits_of(const std::vector<float>& values) {
  std::vector<std::uint32_t> out;
  out.reserve(values.size());
  for (const float value : values) out.push_back(std::bit_cast<std::uint32_t>(value));
  return out;
}

/// The values that affine8 promises, computed from its groups alone.
std::vector<float> from_groups(TensorType type, std::span<const std::byte> blocks) {
  const std::uint32_t n_bytes = block_bytes(type);
  std::vector<float> out;
  for (std::size_t at = 0; at < blocks.size(); at += n_bytes) {
    std::vector<AffineGroup> groups(block_values(type) / kAffineValues);
    affine8(type, blocks.subspan(at, n_bytes), groups);
    for (const AffineGroup& group : groups)
      for (const std::int8_t q : group.q)
        out.push_back(group.scale * static_cast<float>(q) + group.minimum);
  }
  return out;
}

class GoldenBlocks : public testing::TestWithParam<TensorType> {};

TEST_P(GoldenBlocks, DequantiseToTheBit) {
  const std::filesystem::path path =
      std::filesystem::path(PREFLIGHT_TEST_DATA) / "golden/quant/blocks.safetensors";
  const auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const TensorType type = GetParam();
  const SafeTensor* raw = file->find(fmt::format("{}.raw", type_name(type)));
  const SafeTensor* value = file->find(fmt::format("{}.value", type_name(type)));
  ASSERT_NE(raw, nullptr);
  ASSERT_NE(value, nullptr);
  const std::vector<float> expected = floats_of(*value);
  ASSERT_EQ(raw->bytes.size() / block_bytes(type) * block_values(type), expected.size());

  std::vector<float> got(expected.size());
  dequantise(type, raw->bytes, got);
  // Zeros may differ in sign from a reference that subtracts a minimum of zero; everything else
  // must be the same bits.
  std::size_t n_different = 0;
  for (std::size_t i = 0; i < got.size(); ++i)
    if (std::bit_cast<std::uint32_t>(got[i]) != std::bit_cast<std::uint32_t>(expected[i]) &&
        !(got[i] == 0.0f && expected[i] == 0.0f))
      ++n_different;
  EXPECT_EQ(n_different, 0u) << type_name(type);
  if (block_values(type) > 1) {
    EXPECT_EQ(bits_of(from_groups(type, raw->bytes)), bits_of(got));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenBlocks,
                         testing::ValuesIn(std::begin(kAllTypes) + 1, std::end(kAllTypes)),
                         [](const auto& type) { return std::string(type_name(type.param)); });

// Where the f16 scales of a block stand; the rest of its bits may be anything.
struct ScalePlaces {
  TensorType type;
  std::vector<std::size_t> at;
};

TEST(Affine, EqualsDequantiseOnRandomBits) {
  const std::vector<ScalePlaces> packed = {
      {TensorType::kQ8_0, {0}},      {TensorType::kQ4_0, {0}},    {TensorType::kQ4_1, {0, 2}},
      {TensorType::kQ5_0, {0}},      {TensorType::kQ5_1, {0, 2}}, {TensorType::kIQ4_NL, {0}},
      {TensorType::kQ2_K, {80, 82}}, {TensorType::kQ3_K, {108}},  {TensorType::kQ4_K, {0, 2}},
      {TensorType::kQ5_K, {0, 2}},   {TensorType::kQ6_K, {208}},  {TensorType::kIQ4_XS, {0}}};
  std::mt19937 random(11);
  for (const ScalePlaces& places : packed) {
    std::vector<std::byte> blocks(std::size_t{block_bytes(places.type)} * 500);
    for (std::byte& byte : blocks) byte = static_cast<std::byte>(random() & 0xff);
    for (std::size_t b = 0; b < 500; ++b)
      for (const std::size_t at : places.at) {
        const float scale = std::ldexp(static_cast<float>(random() % 2000) - 1000.0f, -16);
        const std::uint16_t half = half_from_float(scale);
        std::memcpy(blocks.data() + b * block_bytes(places.type) + at, &half, sizeof(half));
      }
    std::vector<float> values(blocks.size() / block_bytes(places.type) * block_values(places.type));
    dequantise(places.type, blocks, values);
    EXPECT_EQ(bits_of(from_groups(places.type, blocks)), bits_of(values)) << type_name(places.type);
  }
}

TEST(Half, EveryHalfSurvivesTheWayThroughFloat) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = float_from_half(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(float_from_half(half_from_float(value))));
    } else {
      ASSERT_EQ(half_from_float(value), half) << bits;
    }
  }
}

TEST(Half, KnownValues) {
  EXPECT_EQ(float_from_half(0x3c00), 1.0f);
  EXPECT_EQ(float_from_half(0xc000), -2.0f);
  EXPECT_EQ(float_from_half(0x0001), 0x1p-24f);
  EXPECT_EQ(float_from_half(0x7bff), 65504.0f);
  EXPECT_EQ(half_from_float(65520.0f), 0x7c00);  // rounds up to infinity
  EXPECT_EQ(half_from_float(65519.0f), 0x7bff);
  EXPECT_EQ(half_from_float(1.0f + 0x1p-11f), 0x3c00);  // a tie goes to the even neighbour
  EXPECT_EQ(half_from_float(1.0f + 3 * 0x1p-11f), 0x3c02);
  EXPECT_EQ(half_from_float(0x1p-25f), 0x0000);
  EXPECT_EQ(half_from_float(0x1.8p-25f), 0x0001);
  EXPECT_EQ(bf16_from_float(1.0f + 0x1p-8f), 0x3f80);
  EXPECT_EQ(bf16_from_float(1.0f + 3 * 0x1p-8f), 0x3f82);
}

TEST(Blocks, SizesAndNames) {
  EXPECT_EQ(row_bytes(TensorType::kQ4_K, 512), 288u);
  EXPECT_EQ(row_bytes(TensorType::kQ4_K, 300), std::nullopt);
  EXPECT_EQ(row_bytes(TensorType::kF32, 1ull << 62), std::nullopt);
  for (const TensorType type : kAllTypes) EXPECT_EQ(type_from_name(type_name(type)), type);
  EXPECT_EQ(type_from_name("q4_k"), TensorType::kQ4_K);
  EXPECT_EQ(type_from_name("Q4"), std::nullopt);
}

}  // namespace
}  // namespace preflight::model
