#pragma once

#include <span>

#include "shaders/params/matmul.h"

namespace preflight::reference {

/// The tanh form (docs/model.md, primitives); double, because it is only used on the way.
[[nodiscard]] double gelu(double v);

/// Twin of shaders/gate_up.comp. gate, up f32 [p.n_rows, cols], decoded and not padded; x and y f32
/// as in matmul().
void gate_up(std::span<const float> gate, std::span<const float> up, std::span<const float> x,
             std::span<float> y, const params::MatmulParams& p);

}  // namespace preflight::reference
