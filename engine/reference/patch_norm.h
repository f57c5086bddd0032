#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/norm.h"

namespace preflight::reference {

/// Twin of shaders/patch_norm.comp. x f32 [n_patches, row_size], p.x_stride apart; weight, bias f32
/// [row_size]; y f32, 4 * p.y_stride_vec4 apart.
void patch_norm(std::span<const float> x, std::span<const float> weight,
                std::span<const float> bias, std::span<float> y, std::uint32_t n_patches,
                const params::PatchNormParams& p);

}  // namespace preflight::reference
