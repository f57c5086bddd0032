#include "engine/model/blocks.h"

#include <algorithm>
#include <bit>
#include <cctype>
#include <cstring>
#include <limits>

#include "engine/model/half.h"

namespace preflight::model {
namespace {

struct TypeTraits {
  std::string_view name;
  std::uint32_t values;
  std::uint32_t bytes;
};

// Indexed by TensorType.
constexpr std::array<TypeTraits, 15> kTraits = {{{"F32", 1, 4},
                                                 {"F16", 1, 2},
                                                 {"BF16", 1, 2},
                                                 {"Q8_0", 32, 34},
                                                 {"Q4_0", 32, 18},
                                                 {"Q4_K", 256, 144},
                                                 {"Q6_K", 256, 210},
                                                 {"Q4_1", 32, 20},
                                                 {"Q5_0", 32, 22},
                                                 {"Q5_1", 32, 24},
                                                 {"Q2_K", 256, 84},
                                                 {"Q3_K", 256, 110},
                                                 {"Q5_K", 256, 176},
                                                 {"IQ4_NL", 32, 18},
                                                 {"IQ4_XS", 256, 136}}};

constexpr std::array<std::int8_t, 16> kIq4Values = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                    1,    13,   25,  38,  53,  69,  89,  113};

const TypeTraits& traits(TensorType type) { return kTraits[static_cast<std::size_t>(type)]; }

/// The bytes of one block by offset, as the tables in docs/model.md#block-formats count them.
class Block {
 public:
  explicit Block(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::uint32_t u8(std::size_t at) const { return std::to_integer<std::uint32_t>(bytes_[at]); }
  std::int8_t s8(std::size_t at) const { return std::bit_cast<std::int8_t>(bytes_[at]); }
  std::uint32_t u16(std::size_t at) const { return u8(at) | (u8(at + 1) << 8); }
  std::uint32_t u32(std::size_t at) const { return u16(at) | (u16(at + 2) << 16); }
  float f16(std::size_t at) const { return float_from_half(static_cast<std::uint16_t>(u16(at))); }
  std::uint32_t nibble(std::size_t at, bool high) const { return high ? u8(at) >> 4 : u8(at) & 15; }

 private:
  std::span<const std::byte> bytes_;
};

constexpr float kNoMinimum = -0.0f;

std::int8_t small(std::uint32_t code, std::int32_t bias) {
  return static_cast<std::int8_t>(static_cast<std::int32_t>(code) - bias);
}

float to_float(std::uint32_t value) { return static_cast<float>(value); }

/// Q4_0, Q4_1, Q5_0, Q5_1, IQ4_NL: sixteen bytes whose low nibbles are the first sixteen values and
/// whose high nibbles are the others; `fifth_bits` holds bit 4 of value i at bit i.
template <class Code>
void split_nibbles(const Block& block, std::size_t quants_at, std::uint32_t fifth_bits, float scale,
                   float minimum, std::span<AffineGroup> groups, Code code) {
  for (std::uint32_t half = 0; half < 2; ++half) {
    AffineGroup& group = groups[half];
    group.scale = scale;
    group.minimum = minimum;
    for (std::uint32_t i = 0; i < kAffineValues; ++i) {
      const std::uint32_t fifth = (fifth_bits >> (half * 16 + i)) & 1;
      group.q[i] = code(block.nibble(quants_at + i, half == 1) | (fifth << 4));
    }
  }
}

void affine_q8_0(const Block& block, std::span<AffineGroup> groups) {
  for (std::uint32_t half = 0; half < 2; ++half) {
    groups[half].scale = block.f16(0);
    groups[half].minimum = kNoMinimum;
    for (std::uint32_t i = 0; i < kAffineValues; ++i)
      groups[half].q[i] = block.s8(2 + half * 16 + i);
  }
}

void affine_q2_k(const Block& block, std::span<AffineGroup> groups) {
  const float d = block.f16(80);
  const float m = block.f16(82);
  for (std::uint32_t s = 0; s < 16; ++s) {
    AffineGroup& group = groups[s];
    group.scale = d * to_float(block.nibble(s, false));
    group.minimum = -(m * to_float(block.nibble(s, true)));
    const std::uint32_t first = (s / 8) * 32 + (s % 2) * 16;
    const std::uint32_t shift = 2 * ((s % 8) / 2);
    for (std::uint32_t i = 0; i < kAffineValues; ++i)
      group.q[i] = small((block.u8(16 + first + i) >> shift) & 3, 0);
  }
}

void affine_q3_k(const Block& block, std::span<AffineGroup> groups) {
  const float d = block.f16(108);
  for (std::uint32_t s = 0; s < 16; ++s) {
    const std::uint32_t low = block.nibble(96 + s % 8, s >= 8);
    const std::uint32_t high = (block.u8(104 + s % 4) >> (2 * (s / 4))) & 3;
    AffineGroup& group = groups[s];
    group.scale = d * static_cast<float>(small(low | (high << 4), 32));
    group.minimum = kNoMinimum;
    const std::uint32_t l0 = (s % 2) * 16;
    const std::uint32_t half = s / 8;
    const std::uint32_t j = (s % 8) / 2;
    for (std::uint32_t i = 0; i < kAffineValues; ++i) {
      const std::uint32_t code = (block.u8(32 + half * 32 + l0 + i) >> (2 * j)) & 3;
      const std::uint32_t bit = (block.u8(l0 + i) >> (4 * half + j)) & 1;
      group.q[i] = small(code, bit != 0 ? 0 : 4);
    }
  }
}

struct ScaleMin {
  std::uint32_t scale;
  std::uint32_t minimum;
};

/// The pair of sub-block k out of the twelve packed bytes that Q4_K and Q5_K have at offset 4.
ScaleMin packed_scale(const Block& block, std::uint32_t k) {
  constexpr std::size_t kAt = 4;
  if (k < 4) return {block.u8(kAt + k) & 63, block.u8(kAt + k + 4) & 63};
  return {block.nibble(kAt + k + 4, false) | ((block.u8(kAt + k - 4) >> 6) << 4),
          block.nibble(kAt + k + 4, true) | ((block.u8(kAt + k) >> 6) << 4)};
}

/// Q4_K, and Q5_K whose fifth bits stand in 32 bytes at `fifth_at`.
void affine_q45_k(const Block& block, std::size_t quants_at, std::optional<std::size_t> fifth_at,
                  std::span<AffineGroup> groups) {
  const float d = block.f16(0);
  const float m = block.f16(2);
  for (std::uint32_t s = 0; s < 16; ++s) {
    const std::uint32_t k = s / 2;
    const std::uint32_t l0 = (s % 2) * 16;
    const ScaleMin packed = packed_scale(block, k);
    AffineGroup& group = groups[s];
    group.scale = d * to_float(packed.scale);
    group.minimum = -(m * to_float(packed.minimum));
    for (std::uint32_t i = 0; i < kAffineValues; ++i) {
      std::uint32_t code = block.nibble(quants_at + 32 * (k / 2) + l0 + i, k % 2 == 1);
      if (fifth_at) code |= ((block.u8(*fifth_at + l0 + i) >> k) & 1) << 4;
      group.q[i] = small(code, 0);
    }
  }
}

void affine_q6_k(const Block& block, std::span<AffineGroup> groups) {
  const float d = block.f16(208);
  for (std::uint32_t s = 0; s < 16; ++s) {
    const std::uint32_t half = s / 8;
    const std::uint32_t j = (s % 8) / 2;
    const std::uint32_t l0 = (s % 2) * 16;
    AffineGroup& group = groups[s];
    group.scale = d * static_cast<float>(block.s8(192 + s));
    group.minimum = kNoMinimum;
    for (std::uint32_t i = 0; i < kAffineValues; ++i) {
      const std::uint32_t low = block.nibble(64 * half + 32 * (j % 2) + l0 + i, j >= 2);
      const std::uint32_t high = (block.u8(128 + 32 * half + l0 + i) >> (2 * j)) & 3;
      group.q[i] = small(low | (high << 4), 32);
    }
  }
}

void affine_iq4_xs(const Block& block, std::span<AffineGroup> groups) {
  const float d = block.f16(0);
  const std::uint32_t high_scales = block.u16(2);
  for (std::uint32_t k = 0; k < 8; ++k) {
    const std::uint32_t low = block.nibble(4 + k / 2, k % 2 == 1);
    const std::uint32_t high = (high_scales >> (2 * k)) & 3;
    const float scale = d * static_cast<float>(small(low | (high << 4), 32));
    split_nibbles(block, 8 + 16 * k, 0, scale, kNoMinimum, groups.subspan(2 * k, 2),
                  [](std::uint32_t n) { return kIq4Values[n]; });
  }
}

template <class Decode>
void dequantise_words(std::span<const std::byte> blocks, std::span<float> out, Decode decode) {
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::uint16_t bits = 0;
    std::memcpy(&bits, blocks.data() + 2 * i, sizeof(bits));
    out[i] = decode(bits);
  }
}

}  // namespace

static_assert(std::endian::native == std::endian::little, "the files are read in place");

std::uint32_t block_values(TensorType type) { return traits(type).values; }
std::uint32_t block_bytes(TensorType type) { return traits(type).bytes; }
std::string_view type_name(TensorType type) { return traits(type).name; }

std::optional<TensorType> type_from_name(std::string_view name) {
  const auto same = [](char a, char b) {
    return std::toupper(static_cast<unsigned char>(a)) ==
           std::toupper(static_cast<unsigned char>(b));
  };
  for (std::size_t i = 0; i < kTraits.size(); ++i)
    if (std::equal(name.begin(), name.end(), kTraits[i].name.begin(), kTraits[i].name.end(), same))
      return static_cast<TensorType>(i);
  return std::nullopt;
}

std::optional<std::uint64_t> row_bytes(TensorType type, std::uint64_t cols) {
  const TypeTraits& t = traits(type);
  const std::uint64_t n_blocks = cols / t.values;
  if (cols % t.values != 0) return std::nullopt;
  if (n_blocks > std::numeric_limits<std::uint64_t>::max() / t.bytes) return std::nullopt;
  return n_blocks * t.bytes;
}

void affine8(TensorType type, std::span<const std::byte> bytes, std::span<AffineGroup> groups) {
  PREFLIGHT_ASSERT(bytes.size() == block_bytes(type));
  PREFLIGHT_ASSERT(groups.size() * kAffineValues == block_values(type));
  const Block block(bytes);
  const auto plain = [](std::uint32_t code) { return small(code, 0); };
  switch (type) {
    case TensorType::kQ8_0:
      return affine_q8_0(block, groups);
    case TensorType::kQ4_0:
      return split_nibbles(block, 2, 0, block.f16(0), kNoMinimum, groups,
                           [](std::uint32_t code) { return small(code, 8); });
    case TensorType::kQ4_1:
      return split_nibbles(block, 4, 0, block.f16(0), block.f16(2), groups, plain);
    case TensorType::kQ5_0:
      return split_nibbles(block, 6, block.u32(2), block.f16(0), kNoMinimum, groups,
                           [](std::uint32_t code) { return small(code, 16); });
    case TensorType::kQ5_1:
      return split_nibbles(block, 8, block.u32(4), block.f16(0), block.f16(2), groups, plain);
    case TensorType::kIQ4_NL:
      return split_nibbles(block, 2, 0, block.f16(0), kNoMinimum, groups,
                           [](std::uint32_t code) { return kIq4Values[code]; });
    case TensorType::kQ2_K:
      return affine_q2_k(block, groups);
    case TensorType::kQ3_K:
      return affine_q3_k(block, groups);
    case TensorType::kQ4_K:
      return affine_q45_k(block, 16, std::nullopt, groups);
    case TensorType::kQ5_K:
      return affine_q45_k(block, 48, 16, groups);
    case TensorType::kQ6_K:
      return affine_q6_k(block, groups);
    case TensorType::kIQ4_XS:
      return affine_iq4_xs(block, groups);
    case TensorType::kF32:
    case TensorType::kF16:
    case TensorType::kBF16:
      break;
  }
  PREFLIGHT_ASSERT(false && "affine8 is for packed types");
}

void dequantise(TensorType type, std::span<const std::byte> blocks, std::span<float> out) {
  const std::uint32_t n_values = block_values(type);
  const std::uint32_t n_bytes = block_bytes(type);
  PREFLIGHT_ASSERT(out.size() % n_values == 0);
  PREFLIGHT_ASSERT(blocks.size() == out.size() / n_values * n_bytes);
  if (out.empty()) return;
  if (type == TensorType::kF32) {
    std::memcpy(out.data(), blocks.data(), blocks.size());
    return;
  }
  if (type == TensorType::kF16) return dequantise_words(blocks, out, float_from_half);
  if (type == TensorType::kBF16) return dequantise_words(blocks, out, float_from_bf16);

  std::array<AffineGroup, kMaxBlockValues / kAffineValues> groups;
  const std::span<AffineGroup> used(groups.data(), n_values / kAffineValues);
  for (std::size_t b = 0; b < out.size() / n_values; ++b) {
    affine8(type, blocks.subspan(b * n_bytes, n_bytes), used);
    float* values = out.data() + b * n_values;
    for (const AffineGroup& group : used)
      for (const std::int8_t q : group.q)
        *values++ = group.scale * static_cast<float>(q) + group.minimum;
  }
}

}  // namespace preflight::model
