#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/model/tensor.h"

namespace preflight::model {

/// Values of one block, bytes of one block, and the name people know ("Q4_K").
[[nodiscard]] std::uint32_t block_values(TensorType type);
[[nodiscard]] std::uint32_t block_bytes(TensorType type);
[[nodiscard]] std::string_view type_name(TensorType type);
/// The type with this name, upper or lower case.
[[nodiscard]] std::optional<TensorType> type_from_name(std::string_view name);

/// Bytes of a row of `cols` values; empty when cols is no multiple of the block or the size
/// overflows.
[[nodiscard]] std::optional<std::uint64_t> row_bytes(TensorType type, std::uint64_t cols);

/// Most values in a block of any type.
inline constexpr std::uint32_t kMaxBlockValues = 256;
inline constexpr std::uint32_t kAffineValues = 16;

/// Sixteen neighbouring values of a packed block: value[i] == scale * q[i] + minimum in f32,
/// rounded after the product and after the sum, which is exactly what read_rows gives. Types
/// without a minimum have -0.0 there, so that the sum changes nothing, not even the sign of a zero.
struct AffineGroup {
  std::array<std::int8_t, kAffineValues> q;
  float scale;
  float minimum;
};

/// Splits one packed block (every type but F32, F16, BF16) into block_values / 16 groups.
/// block.size() == block_bytes(type), groups.size() == block_values(type) / 16.
void affine8(TensorType type, std::span<const std::byte> block, std::span<AffineGroup> groups);

/// Dequantises whole blocks, in the order of arithmetic the formats' reference uses: bit-equal to
/// it. blocks.size() / block_bytes(type) == out.size() / block_values(type), both without
/// remainder.
void dequantise(TensorType type, std::span<const std::byte> blocks, std::span<float> out);

}  // namespace preflight::model
