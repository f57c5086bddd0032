#pragma once

#include <cstdint>
#include <span>

#include "engine/reference/attention_shape.h"

namespace preflight::reference {

/// Twin of shaders/attention.comp, with a plain softmax over all visible keys. q f32 [rows,
/// p.n_heads, q_values]; one of `infos` for each row; keys and values f32 planes as
/// attention_input() writes them; o f32 [rows, p.n_heads * head_dim], rows 4 * p.o_stride_vec4
/// apart.
void attention(std::span<const float> q, std::span<const params::RowInfo> infos,
               std::span<const std::uint32_t> page_tables, std::span<const float> keys,
               std::span<const float> values, std::span<float> o, const AttentionShape& shape,
               const params::AttentionParams& p);

}  // namespace preflight::reference
