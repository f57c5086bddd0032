#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/norm.h"

namespace preflight::reference {

/// Twin of shaders/patch_position.comp. x f32 [n_patches, row_size], p.x_stride apart, holds the
/// second norm's result afterwards; weights and biases f32 [row_size]; table f32: position i of the
/// x axis at i * p.table_stride, of the y axis p.table_y_offset further; y f32, 4 * p.y_stride_vec4
/// apart.
void patch_position(std::span<float> x, std::span<const float> weight2,
                    std::span<const float> bias2, std::span<const float> table,
                    std::span<const float> weight3, std::span<const float> bias3,
                    std::span<float> y, std::uint32_t n_patches,
                    const params::PatchPositionParams& p);

}  // namespace preflight::reference
