#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/norm.h"

namespace preflight::reference {

/// Twin of shaders/norm_residual.comp. x, h f32 [n_rows, row_size], p.x_stride and p.h_stride
/// apart; weights f32 [row_size]; h is changed in place; y f32, 4 * p.y_stride_vec4 apart.
void norm_residual(std::span<const float> x, std::span<const float> post_weight, std::span<float> h,
                   std::span<const float> next_weight, std::span<float> y, std::uint32_t n_rows,
                   const params::NormResidualParams& p);

}  // namespace preflight::reference
