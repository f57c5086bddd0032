#include "engine/reference/patch_position.h"

#include "engine/reference/moments.h"

namespace preflight::reference {
namespace {

void layer_norm(std::span<float> u, std::span<const float> weight, std::span<const float> bias,
                double epsilon) {
  const double m = mean(u);
  const double scale = inverse_deviation(u, m, epsilon);
  for (std::size_t i = 0; i < u.size(); i++)
    u[i] = static_cast<float>((u[i] - m) * scale * weight[i] + bias[i]);
}

}  // namespace

void patch_position(std::span<float> x, std::span<const float> weight2,
                    std::span<const float> bias2, std::span<const float> table,
                    std::span<const float> weight3, std::span<const float> bias3,
                    std::span<float> y, std::uint32_t n_patches,
                    const params::PatchPositionParams& p) {
  for (std::size_t r = 0; r < n_patches; r++) {
    const auto u = x.subspan(r * p.x_stride, p.row_size);
    const auto out = y.subspan(r * p.y_stride_vec4 * 4, p.row_size);
    const std::size_t patch = p.first_patch + r;
    const auto at_x = table.subspan(patch % p.columns * p.table_stride, p.row_size);
    const auto at_y =
        table.subspan(p.table_y_offset + patch / p.columns * p.table_stride, p.row_size);

    layer_norm(u, weight2, bias2, p.epsilon);
    for (std::size_t i = 0; i < p.row_size; i++) u[i] = u[i] + at_x[i] + at_y[i];
    layer_norm(u, weight3, bias3, p.epsilon);
    const double scale = inverse_rms(u, p.rms_epsilon);
    for (std::size_t i = 0; i < p.row_size; i++) out[i] = static_cast<float>(u[i] * scale);
  }
}

}  // namespace preflight::reference
