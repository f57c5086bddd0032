// The kernels that reduce a row: rms_norm, norm_residual, patch_norm, patch_position.

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/reference/norm_residual.h"
#include "engine/reference/patch_norm.h"
#include "engine/reference/patch_position.h"
#include "engine/reference/rms_norm.h"
#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

// Relative to |y|: a float32 sum of squares over at most 4096 values in lanes is off by a few 2^-24
// times the length of a lane's part, halved by the root; a driver's square root and division add
// 2.5 ulp each, and three products one rounding each. CPU drivers measure 4e-7.
constexpr double kNormError = 2e-6;

/// Row sizes below, at and above the workgroup's, all multiples of 4 as the model's are.
constexpr std::array<std::uint32_t, 5> kRowSizes = {4, 36, 256, 1028, 3840};
constexpr std::uint32_t kNormRows = 3;

class NormTest : public ForwardTest, public testing::WithParamInterface<Variant> {
 protected:
  static double tolerance(double want, double error) {
    return std::abs(want) * error + (GetParam().act16 ? half_rounding(want) : 0) + 1e-30;
  }
  template <std::size_t n, class Params>
  static void dispatch(const std::string& shader, const std::array<vk::Slice, n>& slices,
                       const Params& p, std::vector<std::uint32_t> constants,
                       std::uint32_t rows = kNormRows) {
    Kernels& k = kernels(GetParam());
    constants.insert(constants.begin(), k.options().tuning.norm_lanes);
    const vk::Pipeline* pipeline = must(k.pipeline(
        shader + k.act_suffix(), static_cast<std::uint32_t>(n), sizeof p, std::move(constants)));
    const RowOp op = RowOp::of(pipeline, must(k.bind(*pipeline, slices)), p);
    run([&](vk::CommandList& list) { op.record(list, rows); });
  }
  static vk::Buffer output(std::size_t n) { return untouched(n, GetParam().act16); }
  static std::vector<float> result(const vk::Buffer& y, std::size_t n) {
    return read_values(y, n, GetParam().act16);
  }
};

TEST_P(NormTest, RmsNorm) {
  for (const std::uint32_t size : kRowSizes)
    for (const bool weighted : {true, false}) {
      const std::uint32_t x_stride = size + 8;
      const std::uint32_t y_stride = padded(size) + 32;
      const auto x =
          normals(std::size_t{kNormRows} * x_stride, 1, 20.0f);  // wide, as residuals are
      const auto weight = normals(size, 2, 5.0f);
      const params::RmsNormParams p{
          .row_size = size, .x_stride = x_stride, .y_stride_vec4 = y_stride / 4, .epsilon = 1e-6f};
      const vk::Buffer x_buffer = upload(x);
      const vk::Buffer weight_buffer = upload(weight);
      const vk::Buffer y = output(std::size_t{kNormRows} * y_stride);
      dispatch("rms_norm", std::array{vk::whole(x_buffer), vk::whole(weight_buffer), vk::whole(y)},
               p, {weighted ? 1u : 0u});
      std::vector<float> want(std::size_t{kNormRows} * y_stride, kUntouched);
      reference::rms_norm(x, weighted ? weight : std::vector<float>(), want, kNormRows, p);
      EXPECT_TRUE(near(result(y, want.size()), want,
                       [&](std::size_t i) { return tolerance(want[i], kNormError); }))
          << size << (weighted ? " with weight" : "");
    }
}

TEST_P(NormTest, RmsNormOfSilenceIsSilence) {
  const params::RmsNormParams p{
      .row_size = 640, .x_stride = 640, .y_stride_vec4 = 160, .epsilon = 1e-6f};
  const std::vector<float> x(std::size_t{640} * kNormRows, 0.0f);
  const vk::Buffer x_buffer = upload(x);
  const vk::Buffer y = output(x.size());
  dispatch("rms_norm", std::array{vk::whole(x_buffer), vk::whole(x_buffer), vk::whole(y)}, p, {0});
  EXPECT_TRUE(same(result(y, x.size()), x));
}

TEST_P(NormTest, RmsNormIsBitEqualWhereverTheRowStands) {
  constexpr std::uint32_t kSize = 1028, kMany = 5;
  const auto row = normals(kSize, 3);
  std::vector<float> x;
  for (std::uint32_t r = 0; r < kMany; r++) x.insert(x.end(), row.begin(), row.end());
  const params::RmsNormParams p{
      .row_size = kSize, .x_stride = kSize, .y_stride_vec4 = kSize / 4, .epsilon = 1e-6f};
  const vk::Buffer x_buffer = upload(x);
  const vk::Buffer y = output(x.size());
  dispatch("rms_norm", std::array{vk::whole(x_buffer), vk::whole(x_buffer), vk::whole(y)}, p, {1},
           kMany);
  const auto got = result(y, x.size());
  for (std::uint32_t r = 1; r < kMany; r++)
    EXPECT_TRUE(
        same(std::span(got).subspan(std::size_t{r} * kSize, kSize), std::span(got).first(kSize)));
}

TEST_P(NormTest, NormResidual) {
  for (const std::uint32_t size : kRowSizes) {
    const std::uint32_t stride = padded(size);
    const auto x = normals(std::size_t{kNormRows} * stride, 4, 3.0f);
    auto h = normals(std::size_t{kNormRows} * (stride + 4), 5, 50.0f);
    const auto post = normals(size, 6, 2.0f);
    const auto next = normals(size, 7, 10.0f);
    const params::NormResidualParams p{.row_size = size,
                                       .x_stride = stride,
                                       .h_stride = stride + 4,
                                       .y_stride_vec4 = stride / 4,
                                       .epsilon = 1e-6f,
                                       .layer_scalar = 0.053f};
    const vk::Buffer x_buffer = upload(x);
    const vk::Buffer post_buffer = upload(post);
    const vk::Buffer h_buffer = upload(h);
    const vk::Buffer next_buffer = upload(next);
    const vk::Buffer y = output(std::size_t{kNormRows} * stride);
    dispatch("norm_residual",
             std::array{vk::whole(x_buffer), vk::whole(post_buffer), vk::whole(h_buffer),
                        vk::whole(next_buffer), vk::whole(y)},
             p, {});
    std::vector<float> want(std::size_t{kNormRows} * stride, kUntouched);
    reference::norm_residual(x, post, h, next, want, kNormRows, p);

    // h and the branch may cancel: the error is that of the larger of the two, below 250 * scalar
    // (five deviations of h), and 250 / 50 of the norm's scale where h is normed.
    EXPECT_TRUE(near(read_values(h_buffer, h.size()), h, 250 * 0.053 * kNormError));
    const auto at_next = [&](std::size_t i) { return std::abs(next[i % stride % size]); };
    EXPECT_TRUE(near(result(y, want.size()), want, [&](std::size_t i) {
      return tolerance(want[i], kNormError) + 10 * at_next(i) * kNormError;
    })) << size;
  }
}

TEST_P(NormTest, PatchNorm) {
  for (const std::uint32_t size : {36u, 6912u}) {
    auto x = normals(std::size_t{kNormRows} * size, 8, 0.2f);
    for (float& v : x) v = std::clamp(v + 0.5f, 0.0f, 1.0f);  // pixels
    std::fill_n(x.begin(), size, 0.25f);                      // a flat patch: variance exactly 0
    const auto weight = normals(size, 9);
    const auto bias = normals(size, 10);
    const params::PatchNormParams p{
        .row_size = size, .x_stride = size, .y_stride_vec4 = padded(size) / 4, .epsilon = 1e-5f};
    const vk::Buffer x_buffer = upload(x);
    const vk::Buffer weight_buffer = upload(weight);
    const vk::Buffer bias_buffer = upload(bias);
    const vk::Buffer y = output(std::size_t{kNormRows} * padded(size));
    dispatch("patch_norm",
             std::array{vk::whole(x_buffer), vk::whole(weight_buffer), vk::whole(bias_buffer),
                        vk::whole(y)},
             p, {});
    std::vector<float> want(std::size_t{kNormRows} * padded(size), kUntouched);
    reference::patch_norm(x, weight, bias, want, kNormRows, p);
    // Before the weight a value is at most 3 here; the mean's error (size / lanes roundings of a
    // sum near size / 2) is divided by a deviation of 0.2. CPU drivers measure a
    // tenth of what is allowed.
    EXPECT_TRUE(near(result(y, want.size()), want, [&](std::size_t i) {
      return tolerance(want[i], kNormError) +
             std::abs(weight[i % padded(size) % size]) * (size > 1000 ? 3e-5 : 3e-6);
    })) << size;
  }
}

TEST_P(NormTest, PatchPosition) {
  constexpr std::uint32_t kPositions = 6, kColumns = 4, kPatches = 9;
  for (const std::uint32_t size : {36u, 1028u})
    for (const bool axis_major : {true, false}) {
      const std::uint32_t stride = padded(size);
      auto x = normals(std::size_t{kPatches} * stride, 11, 2.0f);
      const auto table = normals(std::size_t{2} * kPositions * size, 12);
      std::array<std::vector<float>, 4> vectors;  // weight2, bias2, weight3, bias3
      for (std::uint32_t i = 0; i < 4; i++) vectors[i] = normals(size, 13 + i);
      const params::PatchPositionParams p{.row_size = size,
                                          .x_stride = stride,
                                          .y_stride_vec4 = stride / 4,
                                          .columns = kColumns,
                                          .table_stride = axis_major ? size : 2 * size,
                                          .table_y_offset = axis_major ? kPositions * size : size,
                                          .epsilon = 1e-5f,
                                          .rms_epsilon = 1e-6f,
                                          .first_patch = 7};
      const vk::Buffer x_buffer = upload(x);
      const vk::Buffer table_buffer = upload(table);
      std::vector<vk::Buffer> buffers;
      for (const auto& vector : vectors) buffers.push_back(upload(vector));
      const vk::Buffer y = output(std::size_t{kPatches} * stride);
      dispatch("patch_position",
               std::array{vk::whole(x_buffer), vk::whole(buffers[0]), vk::whole(buffers[1]),
                          vk::whole(table_buffer), vk::whole(buffers[2]), vk::whole(buffers[3]),
                          vk::whole(y)},
               p, {}, kPatches);
      std::vector<float> want(std::size_t{kPatches} * stride, kUntouched);
      reference::patch_position(x, vectors[0], vectors[1], table, vectors[2], vectors[3], want,
                                kPatches, p);
      // Three norms in a row of values up to 5; a bias may cancel, so the error is absolute. Errors
      // before the third norm pass its weight (up to 3.5). CPU drivers
      // measure 1.5e-6.
      EXPECT_TRUE(near(result(y, want.size()), want,
                       [&](std::size_t i) { return tolerance(want[i], 0) + 2e-5; }))
          << size << (axis_major ? " axis by axis" : " position by position");
    }
}

INSTANTIATE_TEST_SUITE_P(Variants, NormTest,
                         testing::Values(Variant{}, Variant{.act16 = true}, Variant{.wide = true},
                                         Variant{.act16 = true, .wide = true}),
                         [](const auto& instance) { return instance.param.name(); });

}  // namespace
}  // namespace preflight::forward
