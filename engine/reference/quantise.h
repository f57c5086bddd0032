#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/quantise.h"

namespace preflight::reference {

/// Twin of shaders/quantise.comp. x f32 [n_rows, 32 * p.n_blocks]; codes [the same]; scales f32
/// [n_rows, p.n_blocks, 2]: the block's scale, and the scale times the sum of its codes.
void quantise(std::span<const float> x, std::span<std::int8_t> codes, std::span<float> scales,
              std::uint32_t n_rows, const params::QuantiseParams& p);

/// The values that the codes stand for, as a product reads them: out.size() == codes.size().
void dequantise(std::span<const std::int8_t> codes, std::span<const float> scales,
                std::span<float> out);

}  // namespace preflight::reference
