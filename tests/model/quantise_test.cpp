#include "engine/model/quantise.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "engine/model/blocks.h"

namespace preflight::model {
namespace {

/// Values as they occur in weights, with the cases that catch a careless encoder: one huge value,
/// all of one sign, all equal, all zero, tiny ones.
std::vector<std::vector<float>> inputs() {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<std::vector<float>> all;
  for (int i = 0; i < 40; ++i) {
    std::vector<float> values(kMaxBlockValues);
    for (float& value : values) value = normal(random) * 0.02f;
    if (i % 8 == 1) values[static_cast<std::size_t>(i)] = 3.0f;
    if (i % 8 == 2) values[static_cast<std::size_t>(i)] = -3.0f;
    for (float& value : values) {
      if (i % 8 == 3) value = std::abs(value);
      if (i % 8 == 4) value = -std::abs(value) - 1.0f;
      if (i % 8 == 5) value = 0.25f;
      if (i % 8 == 6) value = 0.0f;
      if (i % 8 == 7) value *= 1e-3f;
    }
    all.push_back(std::move(values));
  }
  return all;
}

TEST(Quantise, ComesBackWithinHalfAStep) {
  for (const TensorType type :
       {TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kQ4_K, TensorType::kQ6_K}) {
    SCOPED_TRACE(type_name(type));
    ASSERT_TRUE(can_quantise(type));
    for (const std::vector<float>& values : inputs()) {
      const std::size_t n_blocks = values.size() / block_values(type);
      std::vector<std::byte> blocks(n_blocks * block_bytes(type), std::byte{0xa5});
      quantise(type, values, blocks);
      std::vector<float> back(values.size());
      dequantise(type, blocks, back);
      std::vector<AffineGroup> groups(values.size() / kAffineValues);
      const std::size_t per_block = block_values(type) / kAffineValues;
      for (std::size_t b = 0; b < n_blocks; ++b)
        affine8(type, std::span(blocks).subspan(b * block_bytes(type), block_bytes(type)),
                std::span(groups).subspan(b * per_block, per_block));
      for (std::size_t i = 0; i < values.size(); ++i) {
        const AffineGroup& group = groups[i / kAffineValues];
        // Half a step, and the rounding of the products in f32.
        const float allowed = 0.5001f * std::abs(group.scale) +
                              1e-6f * (std::abs(values[i]) + std::abs(group.minimum));
        ASSERT_NEAR(back[i], values[i], allowed) << i;
      }
    }
  }
}

TEST(Quantise, StepsAreAsFineAsTheBitsAllow) {
  const std::vector<float> values = inputs().front();
  struct Case {
    TensorType type;
    double relative_error;  // root mean square, of normal values; measured, then a quarter more
  };
  for (const Case& c : {Case{TensorType::kBF16, 0.0025}, Case{TensorType::kF16, 0.0004},
                        Case{TensorType::kQ8_0, 0.008}, Case{TensorType::kQ6_K, 0.025},
                        Case{TensorType::kQ4_K, 0.1}, Case{TensorType::kQ4_0, 0.13}}) {
    std::vector<std::byte> blocks(values.size() / block_values(c.type) * block_bytes(c.type));
    quantise(c.type, values, blocks);
    std::vector<float> back(values.size());
    dequantise(c.type, blocks, back);
    double error = 0.0;
    double size = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      error += std::pow(double{back[i]} - values[i], 2.0);
      size += std::pow(double{values[i]}, 2.0);
    }
    EXPECT_LT(std::sqrt(error / size), c.relative_error) << type_name(c.type);
  }
}

TEST(Quantise, KeepsFloatsAsTheyAre) {
  const std::vector<float> values = {1.5f, -0.0f, 1e-30f, 7e7f};
  std::vector<std::byte> blocks(values.size() * sizeof(float));
  quantise(TensorType::kF32, values, blocks);
  std::vector<float> back(values.size());
  dequantise(TensorType::kF32, blocks, back);
  EXPECT_EQ(back, values);
}

}  // namespace
}  // namespace preflight::model
