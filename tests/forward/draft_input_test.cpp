// draft_input.comp and draft_next.comp against their twins: values are copied, or rounded to
// float16.

#include "engine/reference/draft_input.h"

#include <array>
#include <cstring>
#include <string>

#include "engine/reference/draft_next.h"
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

class DraftNextTest : public ForwardTest {};

TEST_F(DraftNextTest, MatchesTheTwin) {
  Kernels& k = kernels({});
  const std::vector<params::ArgmaxEntry> best = {{.logit = 1, .token = 262143},
                                                 {.logit = 0, .token = params::kNoToken},
                                                 {.logit = 2, .token = 0}};
  std::vector<params::RowInfo> infos(4, {.position = 1,
                                         .last_visible = 2,
                                         .sliding_pages = 3,
                                         .full_pages = 4,
                                         .token = 5,
                                         .soft_row = 6,
                                         .tile_first = 7,
                                         .tile_rows = 8});
  std::vector<std::uint32_t> rows(4, 77);
  std::vector<std::uint32_t> tokens(12, 88);
  const params::DraftNextParams p{.first_token = 4};
  const vk::Buffer best_buffer = upload(best);
  const vk::Buffer infos_buffer = upload(infos);
  const vk::Buffer rows_buffer = upload(rows);
  const vk::Buffer tokens_buffer = upload(tokens);
  const vk::Pipeline* pipeline =
      must(k.pipeline("draft_next", params::kDraftNextBindings, sizeof p, {}));
  const std::array<vk::Slice, params::kDraftNextBindings> slices = {
      vk::whole(best_buffer), vk::whole(infos_buffer), vk::whole(rows_buffer),
      vk::whole(tokens_buffer)};
  const vk::BindingSet* bindings = must(k.bind(*pipeline, slices));
  run([&](vk::CommandList& list) {
    list.dispatch(*pipeline, *bindings, vk::push_bytes(p), static_cast<std::uint32_t>(best.size()));
  });

  std::vector<params::RowInfo> got_infos(infos.size());
  std::vector<std::uint32_t> got_rows(rows.size());
  std::vector<std::uint32_t> got_tokens(tokens.size());
  must(uploader().read(infos_buffer, 0, std::as_writable_bytes(std::span(got_infos))));
  must(uploader().read(rows_buffer, 0, std::as_writable_bytes(std::span(got_rows))));
  must(uploader().read(tokens_buffer, 0, std::as_writable_bytes(std::span(got_tokens))));
  reference::draft_next(best, infos, rows, tokens, p);
  EXPECT_EQ(std::memcmp(got_infos.data(), infos.data(), infos.size() * sizeof(params::RowInfo)), 0);
  EXPECT_EQ(got_rows, rows);
  EXPECT_EQ(got_tokens, tokens);
}

}  // namespace
}  // namespace preflight::forward
