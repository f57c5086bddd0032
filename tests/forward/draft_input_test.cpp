// draft_input.comp against its twin: values are copied, or rounded to float16.

#include "engine/reference/draft_input.h"

#include <array>
#include <string>

#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

struct DraftInputCase {
  const char* shader;
  bool act16;
  bool hidden16;
};

class DraftInputTest : public ForwardTest, public testing::WithParamInterface<DraftInputCase> {};

TEST_P(DraftInputTest, MatchesTheTwin) {
  const DraftInputCase& c = GetParam();
  Kernels& k = kernels({.act16 = c.act16});
  constexpr std::uint32_t kDim = 100;
  constexpr std::uint32_t kHiddenRows = 5;
  const std::vector<std::uint32_t> rows = {4, 0, 0, 3};
  const params::DraftInputParams p{.target_dim = kDim,
                                   .embedding_stride_vec4 = 128 / 4,
                                   .hidden_stride_vec4 = 160 / 4,
                                   .x_stride_vec4 = 224 / 4};
  const std::vector<float> embedding = rounded(normals(rows.size() * 128, 1), c.act16);
  const std::vector<float> hidden = rounded(normals(std::size_t{kHiddenRows} * 160, 2), c.act16);
  std::vector<float> want(rows.size() * 224, kUntouched);
  reference::draft_input(embedding, hidden, rows, want, p);

  const vk::Buffer embedding_buffer = upload(embedding);
  const vk::Buffer hidden_buffer = upload_values(hidden, c.hidden16);
  const vk::Buffer rows_buffer = upload(rows);
  const vk::Buffer x = untouched(want.size(), c.act16);
  const vk::Pipeline* pipeline = must(
      k.pipeline(c.shader, params::kDraftInputBindings, sizeof p, {k.options().tuning.norm_lanes}));
  const std::array<vk::Slice, params::kDraftInputBindings> slices = {
      vk::whole(embedding_buffer), vk::whole(hidden_buffer), vk::whole(rows_buffer), vk::whole(x)};
  const vk::BindingSet* bindings = must(k.bind(*pipeline, slices));
  run([&](vk::CommandList& list) {
    list.dispatch(*pipeline, *bindings, vk::push_bytes(p), static_cast<std::uint32_t>(rows.size()));
  });
  EXPECT_TRUE(near(read_values(x, want.size(), c.act16), want, 0.0));
}

INSTANTIATE_TEST_SUITE_P(Variants, DraftInputTest,
                         testing::Values(DraftInputCase{"draft_input", false, false},
                                         DraftInputCase{"draft_input_act16", true, false},
                                         DraftInputCase{"draft_input_act16_hidden16", true, true}),
                         [](const auto& test) { return std::string(test.param.shader); });

}  // namespace
}  // namespace preflight::forward
