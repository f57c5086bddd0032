// embed.comp against its twin: a table lookup, so every bit must agree.

#include "engine/reference/embed.h"

#include <algorithm>
#include <tuple>

#include "engine/forward/embed_op.h"
#include "engine/model/blocks.h"
#include "tests/forward/forward_test.h"
#include "tests/forward/random_matrix.h"

namespace preflight::forward {
namespace {

using model::TensorType;

constexpr std::uint32_t kTokens = 75;

class EmbedTest : public ForwardTest,
                  public testing::WithParamInterface<std::tuple<TensorType, Variant>> {
 protected:
  static params::RowInfo token(std::int32_t id) {
    return {.position = 0,
            .last_visible = 0,
            .sliding_pages = 0,
            .full_pages = 0,
            .token = id,
            .soft_row = params::kNoSoftRow,
            .tile_first = 0,
            .tile_rows = 0};
  }
  static params::RowInfo soft(std::uint32_t row) {
    return {.position = 0,
            .last_visible = 0,
            .sliding_pages = 0,
            .full_pages = 0,
            .token = 3,
            .soft_row = row,
            .tile_first = 0,
            .tile_rows = 0};
  }
};

TEST_P(EmbedTest, MatchesTheTwinToTheBit) {
  const auto& [type, variant] = GetParam();
  if (!can_run(variant)) GTEST_SKIP() << "this device has no such kernels";
  Kernels& k = kernels(variant);
  const std::uint32_t lanes = k.options().tuning.weight_lanes;
  // Without blocks a row need not fill its last one.
  const std::uint32_t dim = model::block_values(type) == 1 ? 100 : 256;
  const RandomMatrix table(type, kTokens, dim, 1);
  const auto soft_rows = normals(std::size_t{2} * dim, 2);
  const std::vector<params::RowInfo> infos = {token(0),  token(kTokens - 1), soft(1), token(8),
                                              token(31), token(32),          soft(0), token(8)};
  const auto n = static_cast<std::uint32_t>(infos.size());
  const std::uint32_t stride = padded(dim) + 32;

  const vk::Buffer infos_buffer = upload(infos);
  const vk::Buffer soft_buffer = upload(soft_rows);
  const vk::Buffer h = untouched(std::size_t{n} * stride);
  std::vector<float> want(std::size_t{n} * stride, kUntouched);

  // Two parts, as a table is cut that no binding can see whole.
  const std::uint32_t cut = 4 * lanes;
  ASSERT_LT(cut, kTokens);
  const std::size_t row_bytes = table.bytes.size() / kTokens;
  for (const auto& [first, rows] : {std::pair(0u, cut), std::pair(cut, kTokens - cut)}) {
    model::Tensor tensor = table.tensor;
    tensor.rows = rows;
    tensor.bytes = std::span(table.bytes).subspan(first * row_bytes, rows * row_bytes);
    const WeightMatrix matrix =
        must(load_matrix(device(), uploader(), tensor, k.interleave(), kernel_type(type)));
    const WeightPart& part = matrix.parts.front();
    const params::EmbedParams p{.n_blocks = matrix.shape.n_blocks,
                                .model_dim = dim,
                                .h_stride = stride,
                                .first_token = first,
                                .n_tokens = rows,
                                .scale = 61.967735f};
    const vk::Pipeline* pipeline =
        must(k.pipeline(embed_shader(matrix.shape), params::kEmbedBindings, sizeof p, {lanes}));
    const std::array<vk::Slice, params::kEmbedBindings> slices = {
        part.quants, part.scales, part.high, vk::whole(infos_buffer), vk::whole(soft_buffer),
        vk::whole(h)};
    const RowOp op = RowOp::of(pipeline, must(k.bind(*pipeline, slices)), p);
    run([&](vk::CommandList& list) { op.record(list, n); });
    reference::embed(
        std::span(table.values).subspan(std::size_t{first} * dim, std::size_t{rows} * dim), infos,
        soft_rows, want, p);
  }
  // Multiplying one rounded product by the scale leaves no freedom.
  EXPECT_TRUE(near(read_values(h, want.size()), want, 1e-30));
}

INSTANTIATE_TEST_SUITE_P(Types, EmbedTest,
                         testing::Combine(testing::Values(TensorType::kF32, TensorType::kF16,
                                                          TensorType::kBF16, TensorType::kQ8_0,
                                                          TensorType::kQ4_0, TensorType::kQ4_K,
                                                          TensorType::kQ6_K, TensorType::kQ3_K),
                                          testing::Values(Variant{}, Variant{.addresses = true})),
                         [](const auto& instance) {
                           return std::string(model::type_name(std::get<0>(instance.param))) +
                                  std::get<1>(instance.param).name();
                         });

}  // namespace
}  // namespace preflight::forward
