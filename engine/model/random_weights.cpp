#include "engine/model/random_weights.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "engine/model/blocks.h"
#include "engine/model/half.h"

namespace preflight::model {
namespace {

constexpr std::uint64_t kStride = 0x9e3779b97f4a7c15u;

/// A hash of a counter: random access to a stream of 64-bit words.
std::uint64_t word_at(std::uint64_t key, std::uint64_t index) {
  std::uint64_t z = key + index * kStride;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/// [0, 1) from the upper bits.
float unit(std::uint64_t word) { return static_cast<float>(word >> 40) * 0x1p-24f; }

/// How uniform random bytes become weights of unit deviation: the numbers of
/// docs/model.md#made-models.
struct PackedRecipe {
  std::size_t scale_at;     ///< f16 d
  float codes_deviation;    ///< of the codes, times the integer scale fixed below
  std::size_t minimum_at;   ///< f16 m; 0: the type has none
  float minimum_per_scale;  ///< m / d that brings the mean to 0
};

PackedRecipe recipe(TensorType type) {
  switch (type) {
    case TensorType::kQ8_0:
      return {0, 73.9f, 0, 0.0f};
    case TensorType::kQ4_0:
      return {0, 4.64f, 0, 0.0f};
    case TensorType::kQ4_1:
      return {0, 4.61f, 2, -7.5f};
    case TensorType::kQ5_0:
      return {0, 9.25f, 0, 0.0f};
    case TensorType::kQ5_1:
      return {0, 9.23f, 2, -15.5f};
    case TensorType::kIQ4_NL:
      return {0, 71.5f, 0, 0.0f};
    case TensorType::kQ2_K:
      return {80, 1.118f * 8.0f, 82, 1.5f};
    case TensorType::kQ3_K:
      return {108, 2.35f * 16.0f, 0, 0.0f};
    case TensorType::kQ4_K:
      return {0, 4.61f * 32.0f, 2, 7.5f};
    case TensorType::kQ5_K:
      return {0, 9.23f * 32.0f, 2, 15.5f};
    case TensorType::kQ6_K:
      return {208, 18.5f * 55.5f, 0, 0.0f};
    case TensorType::kIQ4_XS:
      return {0, 71.5f * 16.0f, 0, 0.0f};
    case TensorType::kF32:
    case TensorType::kF16:
    case TensorType::kBF16:
      break;
  }
  PREFLIGHT_ASSERT(false && "only packed types have a recipe");
  return {};
}

/// Sets the integer scales inside a block, which must not be random: all sub-blocks weigh the same.
void fix_inner_scales(TensorType type, std::span<std::byte> block) {
  const auto set = [&block](std::size_t at, std::size_t n, std::uint8_t value) {
    std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(at), n, std::byte{value});
  };
  switch (type) {
    case TensorType::kQ2_K:
      set(0, 16, 0x88);
      break;                 // scale 8, minimum 8
    case TensorType::kQ3_K:  // 48 - 32 = 16
      set(96, 8, 0x00);
      set(104, 4, 0xff);
      break;
    case TensorType::kQ4_K:
    case TensorType::kQ5_K:  // all scales and minimums 32
      set(4, 8, 0x20 | 0x80);
      set(12, 4, 0x00);
      break;
    case TensorType::kQ6_K:  // 40 to 71, the sign as it comes
      for (std::size_t at = 192; at < 208; ++at) {
        const auto byte = std::to_integer<std::uint32_t>(block[at]);
        const std::uint32_t scale = 40 + (byte & 31);
        block[at] = static_cast<std::byte>((byte & 0x80) != 0 ? 256 - scale : scale);
      }
      break;
    case TensorType::kIQ4_XS:  // 48 - 32 = 16
      set(2, 2, 0xff);
      set(4, 4, 0x00);
      break;
    default:
      break;
  }
}

template <class Store>
void fill_values(std::uint64_t key, std::uint64_t first, float spread, std::size_t n, Store store) {
  for (std::size_t i = 0; i < n; ++i)
    store(i, (2.0f * unit(word_at(key, first + i)) - 1.0f) * spread);
}

}  // namespace

std::vector<float> normals(std::size_t n, std::uint32_t seed, float sigma) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution(0.0f, sigma);
  std::vector<float> values(n);
  for (float& value : values) value = distribution(generator);
  return values;
}

std::uint64_t random_key(std::uint64_t seed, std::uint64_t tensor) {
  return word_at(word_at(seed, 0), tensor + 1);
}

void fill_uniform(float mean, float spread, std::uint64_t key, std::uint64_t first_value,
                  std::span<std::byte> values) {
  fill_values(key, first_value, spread, values.size() / sizeof(float),
              [&](std::size_t i, float value) {
                const float shifted = mean + value;
                std::memcpy(values.data() + i * sizeof(float), &shifted, sizeof(float));
              });
}

void fill_random(TensorType type, float deviation, std::uint64_t key, std::uint64_t first_block,
                 std::span<std::byte> blocks) {
  const std::size_t n_bytes = block_bytes(type);
  PREFLIGHT_ASSERT(blocks.size() % n_bytes == 0);
  const std::size_t n_blocks = blocks.size() / n_bytes;
  const float spread = deviation * 1.7320508f;  // half the width of an even spread of deviation 1
  if (type == TensorType::kF32) return fill_uniform(0.0f, spread, key, first_block, blocks);
  if (type == TensorType::kF16 || type == TensorType::kBF16) {
    const auto encode = type == TensorType::kF16 ? half_from_float : bf16_from_float;
    return fill_values(key, first_block, spread, n_blocks, [&](std::size_t i, float value) {
      const std::uint16_t bits = encode(value);
      std::memcpy(blocks.data() + i * sizeof(bits), &bits, sizeof(bits));
    });
  }

  const PackedRecipe r = recipe(type);
  const std::size_t n_words = n_bytes / sizeof(std::uint64_t) + 2;  // one more for the scale
  for (std::size_t b = 0; b < n_blocks; ++b) {
    const std::span<std::byte> block = blocks.subspan(b * n_bytes, n_bytes);
    const std::uint64_t first_word = (first_block + b) * n_words;
    for (std::size_t at = 0, w = 1; at < n_bytes; at += sizeof(std::uint64_t), ++w) {
      const std::uint64_t word = word_at(key, first_word + w);
      std::memcpy(block.data() + at, &word, std::min(sizeof(word), n_bytes - at));
    }
    fix_inner_scales(type, block);
    const std::uint64_t word = word_at(key, first_word);
    float d = deviation / r.codes_deviation * (0.75f + 0.5f * unit(word));
    // Codes without a minimum are a little off centre; a random sign keeps that from adding up.
    if (r.minimum_at == 0 && (word & 1) != 0) d = -d;
    const std::uint16_t d_half = half_from_float(d);
    std::memcpy(block.data() + r.scale_at, &d_half, sizeof(d_half));
    if (r.minimum_at != 0) {
      const std::uint16_t m_half = half_from_float(d * r.minimum_per_scale);
      std::memcpy(block.data() + r.minimum_at, &m_half, sizeof(m_half));
    }
  }
}

}  // namespace preflight::model
