#pragma once

#include <span>

#include "shaders/params/matmul.h"

namespace preflight::reference {

/// Twin of shaders/matmul.comp. weight f32 [p.n_rows, cols], decoded and not padded: cols =
/// weight.size() / p.n_rows; x f32, rows 4 * p.x_stride_vec4 apart; y f32, rows p.y_stride apart,
/// of which this product fills p.n_rows values from p.y_offset on; rows u32 [p.n_columns], read
/// where p.gather is 1; bias f32 [p.n_rows] or empty. p.soft_cap 0: none.
void matmul(std::span<const float> weight, std::span<const float> x, std::span<float> y,
            std::span<const params::uint> rows, std::span<const float> bias,
            const params::MatmulParams& p);

/// sum_k a[k] * b[k] over the shorter one's length, in double: exact beside any float32 sum.
[[nodiscard]] double dot(std::span<const float> a, std::span<const float> b);

}  // namespace preflight::reference
