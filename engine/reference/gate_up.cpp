#include "engine/reference/gate_up.h"

#include <cmath>
#include <numbers>

#include "engine/reference/matmul.h"

namespace preflight::reference {

double gelu(double v) {
  const double inner = std::sqrt(2.0 / std::numbers::pi) * (v + 0.044715 * v * v * v);
  return 0.5 * v * (1.0 + std::tanh(inner));
}

void gate_up(std::span<const float> gate, std::span<const float> up, std::span<const float> x,
             std::span<float> y, const params::MatmulParams& p) {
  const std::size_t cols = gate.size() / p.n_rows;
  for (std::size_t c = 0; c < p.n_columns; c++) {
    const auto in = x.subspan(c * p.x_stride_vec4 * 4, cols);
    for (std::size_t r = 0; r < p.n_rows; r++) {
      const double g = dot(gate.subspan(r * cols, cols), in);
      const double u = dot(up.subspan(r * cols, cols), in);
      y[c * p.y_stride + p.y_offset + r] = static_cast<float>(gelu(g) * u);
    }
  }
}

}  // namespace preflight::reference
