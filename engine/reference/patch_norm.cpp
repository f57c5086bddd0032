#include "engine/reference/patch_norm.h"

#include "engine/reference/moments.h"

namespace preflight::reference {

void patch_norm(std::span<const float> x, std::span<const float> weight,
                std::span<const float> bias, std::span<float> y, std::uint32_t n_patches,
                const params::PatchNormParams& p) {
  for (std::size_t r = 0; r < n_patches; r++) {
    const auto in = x.subspan(r * p.x_stride, p.row_size);
    const auto out = y.subspan(r * p.y_stride_vec4 * 4, p.row_size);
    const double m = mean(in);
    const double scale = inverse_deviation(in, m, p.epsilon);
    for (std::size_t i = 0; i < p.row_size; i++)
      out[i] = static_cast<float>((in[i] - m) * scale * weight[i] + bias[i]);
  }
}

}  // namespace preflight::reference
