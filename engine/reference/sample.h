#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "shaders/params/sample.h"

namespace preflight::reference {

/// Twin of shaders/sample_select.comp, all passes, and sample_draw.comp. logits f32 [rows.size(),
/// p.logits_stride]; mask u32 [rows.size(), p.mask_stride]; best [rows.size()]: the token that is
/// drawn, params::kNoToken where there is none; rows of temperature 0 keep what stands there.
void sample(std::span<const float> logits, std::span<const std::uint32_t> mask,
            std::span<const params::SampleRow> rows, std::span<params::ArgmaxEntry> best,
            const params::SampleParams& p);

// The functions of shaders/include/sample.glsl.
[[nodiscard]] float sample_exp(float value);
[[nodiscard]] float sample_exponential(std::uint32_t bits);
[[nodiscard]] std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                                  std::array<std::uint32_t, 2> key);

}  // namespace preflight::reference
