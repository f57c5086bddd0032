#pragma once

#include <cstdint>
#include <span>

#include "engine/reference/attention_shape.h"

namespace preflight::reference {

/// Twin of shaders/attention_input.comp. qkv f32 [rows, p.qkv_stride]; q_norm, k_norm f32
/// [head_dim]; one of `infos` for each row; rope f32 [rows, n_rotated, 2]; keys and values f32
/// planes [page, p.n_kv_heads, kPageTokens, key_dim or head_dim]; q f32 [rows, p.n_heads,
/// q_values].
void attention_input(std::span<const float> qkv, std::span<const float> q_norm,
                     std::span<const float> k_norm, std::span<const params::RowInfo> infos,
                     std::span<const float> rope, std::span<const std::uint32_t> page_tables,
                     std::span<float> keys, std::span<float> values, std::span<float> q,
                     const AttentionShape& shape, const params::AttentionInputParams& p);

}  // namespace preflight::reference
