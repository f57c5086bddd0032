#include "engine/reference/rms_norm.h"

#include "engine/reference/moments.h"

namespace preflight::reference {

void rms_norm(std::span<const float> x, std::span<const float> weight, std::span<float> y,
              std::uint32_t n_rows, const params::RmsNormParams& p) {
  for (std::size_t r = 0; r < n_rows; r++) {
    const auto in = x.subspan(r * p.x_stride, p.row_size);
    const auto out = y.subspan(r * p.y_stride_vec4 * 4, p.row_size);
    const double scale = inverse_rms(in, p.epsilon);
    for (std::size_t i = 0; i < p.row_size; i++)
      out[i] = static_cast<float>(in[i] * scale * (weight.empty() ? 1.0 : double{weight[i]}));
  }
}

}  // namespace preflight::reference
