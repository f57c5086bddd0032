#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/norm.h"

namespace preflight::reference {

/// Twin of shaders/rms_norm.comp. x f32 [n_rows, row_size], p.x_stride apart; weight f32
/// [row_size], empty for the norm without one; y f32, 4 * p.y_stride_vec4 apart.
void rms_norm(std::span<const float> x, std::span<const float> weight, std::span<float> y,
              std::uint32_t n_rows, const params::RmsNormParams& p);

}  // namespace preflight::reference
