#include "engine/model/quantise.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "engine/model/blocks.h"
#include "engine/model/half.h"

namespace preflight::model {
namespace {

using Values = std::span<const float>;
using Bytes = std::span<std::byte>;

void put_half(Bytes block, std::size_t at, std::uint16_t half) {
  std::memcpy(block.data() + at, &half, sizeof(half));
}

void put_byte(Bytes block, std::size_t at, std::int32_t value) {
  block[at] = static_cast<std::byte>(value & 0xff);
}

/// The smallest half that is at least `value` (0 or more). Scales are rounded up, so that the
/// largest code always reaches the largest value.
std::uint16_t half_at_least(float value) {
  const std::uint16_t half = half_from_float(value);
  return float_from_half(half) < value ? static_cast<std::uint16_t>(half + 1) : half;
}

/// value / step to the nearest code in range; 0 for a step of 0.
std::int32_t code(float value, float step, std::int32_t least, std::int32_t most) {
  if (step == 0.0f) return std::clamp(0, least, most);
  return std::clamp(static_cast<std::int32_t>(std::lround(value / step)), least, most);
}

/// How many steps cover `value`, at most `most`.
std::int32_t codes_to_cover(float value, float step, std::int32_t most) {
  if (step == 0.0f) return 0;
  return std::min(static_cast<std::int32_t>(std::ceil(value / step)), most);
}

float largest_magnitude(Values values) {
  float largest = 0.0f;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

void encode_q8_0(Values values, Bytes block) {
  const std::uint16_t half = half_at_least(largest_magnitude(values) / 127.0f);
  put_half(block, 0, half);
  for (std::size_t i = 0; i < values.size(); ++i)
    put_byte(block, 2 + i, code(values[i], float_from_half(half), -127, 127));
}

void encode_q4_0(Values values, Bytes block) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  // Codes reach from -8 to 7.
  const std::uint16_t half = half_at_least(std::max({*most / 7.0f, -*least / 8.0f, 0.0f}));
  const float d = float_from_half(half);
  put_half(block, 0, half);
  for (std::size_t i = 0; i < 16; ++i)
    put_byte(block, 2 + i,
             (code(values[i], d, -8, 7) + 8) | ((code(values[i + 16], d, -8, 7) + 8) << 4));
}

void encode_q4_k(Values values, Bytes block) {
  constexpr std::size_t kSubBlocks = 8;
  constexpr std::size_t kSubValues = 32;
  std::array<float, kSubBlocks> lowest{};  // depth below zero, 0 or more
  std::array<float, kSubBlocks> highest{};
  for (std::size_t k = 0; k < kSubBlocks; ++k)
    for (const float value : values.subspan(k * kSubValues, kSubValues)) {
      lowest[k] = std::max(lowest[k], -value);
      highest[k] = std::max(highest[k], value);
    }
  const std::uint16_t m_half =
      half_at_least(*std::max_element(lowest.begin(), lowest.end()) / 63.0f);
  const float m = float_from_half(m_half);
  std::array<std::int32_t, kSubBlocks> minimums{};
  std::array<float, kSubBlocks> steps{};
  for (std::size_t k = 0; k < kSubBlocks; ++k) {
    minimums[k] = codes_to_cover(lowest[k], m, 63);
    steps[k] = (highest[k] + m * static_cast<float>(minimums[k])) / 15.0f;
  }
  const std::uint16_t d_half = half_at_least(*std::max_element(steps.begin(), steps.end()) / 63.0f);
  const float d = float_from_half(d_half);
  put_half(block, 0, d_half);
  put_half(block, 2, m_half);
  std::array<std::int32_t, 12> packed{};
  for (std::size_t k = 0; k < kSubBlocks; ++k) {
    const std::int32_t scale = codes_to_cover(steps[k], d, 63);
    const float step = d * static_cast<float>(scale);
    const float minimum = m * static_cast<float>(minimums[k]);
    if (k < 4) {
      packed[k] |= scale;
      packed[k + 4] |= minimums[k];
    } else {
      packed[k + 4] |= (scale & 15) | ((minimums[k] & 15) << 4);
      packed[k - 4] |= (scale >> 4) << 6;
      packed[k] |= (minimums[k] >> 4) << 6;
    }
    for (std::size_t l = 0; l < kSubValues; ++l) {
      const std::size_t at = 16 + 32 * (k / 2) + l;
      const std::int32_t c = code(values[k * kSubValues + l] + minimum, step, 0, 15);
      // Even sub-blocks come first and clear what was in the byte.
      put_byte(block, at, k % 2 == 0 ? c : std::to_integer<std::int32_t>(block[at]) | (c << 4));
    }
  }
  for (std::size_t i = 0; i < packed.size(); ++i) put_byte(block, 4 + i, packed[i]);
}

void encode_q6_k(Values values, Bytes block) {
  constexpr std::size_t kSubBlocks = 16;
  constexpr std::size_t kSubValues = 16;
  std::fill(block.begin(), block.end(), std::byte{0});
  const std::uint16_t half = half_at_least(largest_magnitude(values) / (31.0f * 127.0f));
  const float d = float_from_half(half);
  put_half(block, 208, half);
  for (std::size_t s = 0; s < kSubBlocks; ++s) {
    const Values part = values.subspan(s * kSubValues, kSubValues);
    const std::int32_t scale = codes_to_cover(largest_magnitude(part) / 31.0f, d, 127);
    const float step = d * static_cast<float>(scale);
    put_byte(block, 192 + s, scale);
    const std::size_t n = s / 8;
    const std::size_t j = (s % 8) / 2;
    for (std::size_t i = 0; i < kSubValues; ++i) {
      const std::size_t l = (s % 2) * kSubValues + i;
      const auto c = static_cast<std::uint32_t>(code(part[i], step, -32, 31) + 32);
      block[64 * n + 32 * (j % 2) + l] |= static_cast<std::byte>((c & 15) << (j >= 2 ? 4 : 0));
      block[128 + 32 * n + l] |= static_cast<std::byte>((c >> 4) << (2 * j));
    }
  }
}

}  // namespace

bool can_quantise(TensorType type) {
  switch (type) {
    case TensorType::kF32:
    case TensorType::kF16:
    case TensorType::kBF16:
    case TensorType::kQ8_0:
    case TensorType::kQ4_0:
    case TensorType::kQ4_K:
    case TensorType::kQ6_K:
      return true;
    default:
      return false;
  }
}

void quantise(TensorType type, std::span<const float> values, std::span<std::byte> blocks) {
  const std::size_t n_values = block_values(type);
  const std::size_t n_bytes = block_bytes(type);
  PREFLIGHT_ASSERT(can_quantise(type) && values.size() % n_values == 0);
  PREFLIGHT_ASSERT(blocks.size() == values.size() / n_values * n_bytes);
  for (std::size_t b = 0; b < values.size() / n_values; ++b) {
    const Values in = values.subspan(b * n_values, n_values);
    const Bytes out = blocks.subspan(b * n_bytes, n_bytes);
    switch (type) {
      case TensorType::kF32:
        std::memcpy(out.data(), in.data(), sizeof(float));
        break;
      case TensorType::kF16:
        put_half(out, 0, half_from_float(in[0]));
        break;
      case TensorType::kBF16:
        put_half(out, 0, bf16_from_float(in[0]));
        break;
      case TensorType::kQ8_0:
        encode_q8_0(in, out);
        break;
      case TensorType::kQ4_0:
        encode_q4_0(in, out);
        break;
      case TensorType::kQ4_K:
        encode_q4_k(in, out);
        break;
      case TensorType::kQ6_K:
        encode_q6_k(in, out);
        break;
      default:
        break;
    }
  }
}

}  // namespace preflight::model
