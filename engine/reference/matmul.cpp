#include "engine/reference/matmul.h"

#include <algorithm>
#include <cmath>

namespace preflight::reference {

double dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (std::size_t k = 0; k < std::min(a.size(), b.size()); k++) sum += double{a[k]} * b[k];
  return sum;
}

void matmul(std::span<const float> weight, std::span<const float> x, std::span<float> y,
            std::span<const params::uint> rows, std::span<const float> bias,
            const params::MatmulParams& p) {
  const std::size_t cols = weight.size() / p.n_rows;
  for (std::size_t c = 0; c < p.n_columns; c++) {
    const std::size_t row_of_x = p.gather == 1 ? rows[c] : c;
    const auto in = x.subspan(row_of_x * p.x_stride_vec4 * 4, cols);
    for (std::size_t r = 0; r < p.n_rows; r++) {
      double value = dot(weight.subspan(r * cols, cols), in);
      if (!bias.empty()) value += bias[r];
      if (p.soft_cap != 0) value = p.soft_cap * std::tanh(value / p.soft_cap);
      y[c * p.y_stride + p.y_offset + r] = static_cast<float>(value);
    }
  }
}

}  // namespace preflight::reference
