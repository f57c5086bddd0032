#include "engine/reference/norm_residual.h"

#include "engine/reference/moments.h"

namespace preflight::reference {

void norm_residual(std::span<const float> x, std::span<const float> post_weight, std::span<float> h,
                   std::span<const float> next_weight, std::span<float> y, std::uint32_t n_rows,
                   const params::NormResidualParams& p) {
  for (std::size_t r = 0; r < n_rows; r++) {
    const auto branch = x.subspan(r * p.x_stride, p.row_size);
    const auto residual = h.subspan(r * p.h_stride, p.row_size);
    const auto out = y.subspan(r * p.y_stride_vec4 * 4, p.row_size);

    const double post_scale = inverse_rms(branch, p.epsilon);
    for (std::size_t i = 0; i < p.row_size; i++)
      residual[i] = static_cast<float>((residual[i] + branch[i] * post_scale * post_weight[i]) *
                                       p.layer_scalar);

    const double next_scale = inverse_rms(residual, p.epsilon);
    for (std::size_t i = 0; i < p.row_size; i++)
      out[i] = static_cast<float>(residual[i] * next_scale * next_weight[i]);
  }
}

}  // namespace preflight::reference
