// rms_norm.comp and norm_residual.comp at the 12B's row size.

#include <array>
#include <string>

#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/values.h"
#include "engine/reference/norm_residual.h"
#include "engine/reference/rms_norm.h"

namespace preflight::bench {
namespace {

constexpr std::uint32_t kModelDim = 3840;
constexpr float kEpsilon = 1e-6f;

struct NormData {
  std::vector<float> x, h, post, next;
  vk::Buffer x_buffer, h_buffer, post_buffer, next_buffer, y_buffer;
  forward::RowOp op;
};

Result<std::shared_ptr<NormData>> make_data(Bench& bench, std::uint32_t n_rows) {
  const std::size_t n = std::size_t{n_rows} * kModelDim;
  auto x = normals(n, 1, 3.0f);
  auto h = normals(n, 2, 50.0f);
  auto post = normals(kModelDim, 3);
  auto next = normals(kModelDim, 4, 5.0f);
  PREFLIGHT_TRY(vk::Buffer x_buffer, bench.upload(std::as_bytes(std::span(x))));
  PREFLIGHT_TRY(vk::Buffer h_buffer, bench.upload(std::as_bytes(std::span(h))));
  PREFLIGHT_TRY(vk::Buffer post_buffer, bench.upload(std::as_bytes(std::span(post))));
  PREFLIGHT_TRY(vk::Buffer next_buffer, bench.upload(std::as_bytes(std::span(next))));
  PREFLIGHT_TRY(vk::Buffer y_buffer, bench.empty(n * 4));
  return std::make_shared<NormData>(NormData{std::move(x),
                                             std::move(h),
                                             std::move(post),
                                             std::move(next),
                                             std::move(x_buffer),
                                             std::move(h_buffer),
                                             std::move(post_buffer),
                                             std::move(next_buffer),
                                             std::move(y_buffer),
                                             {}});
}

template <std::size_t n, class Params>
Result<forward::RowOp> make_op(Bench& bench, const std::string& shader,
                               const std::array<vk::Slice, n>& slices, const Params& p,
                               std::vector<std::uint32_t> constants) {
  forward::Kernels& kernels = bench.kernels();
  constants.insert(constants.begin(), kernels.options().tuning.norm_lanes);
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline(shader + kernels.act_suffix(), static_cast<std::uint32_t>(n),
                                 sizeof p, std::move(constants)));
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
  return forward::RowOp::of(pipeline, bindings, p);
}

Result<Case> make_rms_norm(Bench& bench, std::uint32_t n_rows) {
  PREFLIGHT_TRY(const auto data, make_data(bench, n_rows));
  const params::RmsNormParams p{.row_size = kModelDim,
                                .x_stride = kModelDim,
                                .y_stride_vec4 = kModelDim / 4,
                                .epsilon = kEpsilon};
  PREFLIGHT_TRY(data->op,
                make_op(bench, "rms_norm",
                        std::array{vk::whole(data->x_buffer), vk::whole(data->next_buffer),
                                   vk::whole(data->y_buffer)},
                        p, {1}));
  const double values = static_cast<double>(n_rows) * kModelDim;
  Case made;
  made.work = {.bytes = values * (4 + bench.kernels().act_bytes()) + 4.0 * kModelDim,
               .operations = 4 * values};
  made.record = [data, n_rows](vk::CommandList& list) { data->op.record(list, n_rows); };
  made.check = [&bench, data, p, n_rows]() -> Result<void> {
    PREFLIGHT_TRY(const auto got, bench.read(data->y_buffer, data->x.size(), bench.act16()));
    std::vector<float> want(got.size());
    reference::rms_norm(data->x, data->next, want, n_rows, p);
    return check_close("rms_norm", got, want);
  };
  made.data = data;
  return made;
}

Result<Case> make_norm_residual(Bench& bench, std::uint32_t n_rows) {
  PREFLIGHT_TRY(const auto data, make_data(bench, n_rows));
  const params::NormResidualParams p{.row_size = kModelDim,
                                     .x_stride = kModelDim,
                                     .h_stride = kModelDim,
                                     .y_stride_vec4 = kModelDim / 4,
                                     .epsilon = kEpsilon,
                                     .layer_scalar = 0.5f};
  PREFLIGHT_TRY(data->op,
                make_op(bench, "norm_residual",
                        std::array{vk::whole(data->x_buffer), vk::whole(data->post_buffer),
                                   vk::whole(data->h_buffer), vk::whole(data->next_buffer),
                                   vk::whole(data->y_buffer)},
                        p, {}));
  const double values = static_cast<double>(n_rows) * kModelDim;
  Case made;
  made.work = {.bytes = values * (12 + bench.kernels().act_bytes()) + 8.0 * kModelDim,
               .operations = 9 * values};
  made.record = [data, n_rows](vk::CommandList& list) { data->op.record(list, n_rows); };
  // The residual is changed in place: the check follows the first run.
  made.check = [&bench, data, p, n_rows]() -> Result<void> {
    PREFLIGHT_TRY(const auto got, bench.read(data->y_buffer, data->x.size(), bench.act16()));
    std::vector<float> want(got.size());
    reference::norm_residual(data->x, data->post, data->h, data->next, want, n_rows, p);
    return check_close("norm_residual", got, want);
  };
  made.data = data;
  return made;
}

}  // namespace

void add_norm_benches(Bench& bench) {
  for (const std::uint32_t n_rows : {1u, 8u, 512u}) {
    bench.add(fmt::format("rms_norm/rows:{}", n_rows),
              [n_rows](Bench& b) { return make_rms_norm(b, n_rows); });
    bench.add(fmt::format("norm_residual/rows:{}", n_rows),
              [n_rows](Bench& b) { return make_norm_residual(b, n_rows); });
  }
}

}  // namespace preflight::bench
