// argmax.comp against its twin: no arithmetic, so token and logit must agree exactly.

#include "engine/reference/argmax.h"

#include <array>
#include <cstring>

#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

class ArgmaxTest : public ForwardTest {
 protected:
  static std::vector<params::ArgmaxEntry> device_best(std::span<const float> logits,
                                                      std::span<const std::uint32_t> mask,
                                                      std::uint32_t rows,
                                                      const params::ArgmaxParams& p, bool wide) {
    Kernels& k = kernels({.wide = wide});
    const vk::Buffer logits_buffer = upload(logits);
    const vk::Buffer mask_buffer = upload(mask);
    const vk::Buffer partial = untouched(std::size_t{rows} * params::kArgmaxSlices * 2);
    const vk::Buffer best = untouched(std::size_t{rows} * 2);
    const std::array<vk::Slice, params::kArgmaxBindings> slices = {
        vk::whole(logits_buffer), vk::whole(mask_buffer), vk::whole(partial), vk::whole(best)};
    std::array<RowOp, 2> passes;
    for (const std::uint32_t merge : {0u, 1u}) {
      const vk::Pipeline* pipeline = must(k.pipeline("argmax", params::kArgmaxBindings, sizeof p,
                                                     {k.options().tuning.argmax_lanes, merge}));
      passes[merge] = RowOp::of(pipeline, must(k.bind(*pipeline, slices)), p,
                                merge == 0 ? params::kArgmaxSlices : 1);
    }
    run([&](vk::CommandList& list) {
      passes[0].record(list, rows);
      list.barrier();
      passes[1].record(list, rows);
    });
    std::vector<params::ArgmaxEntry> got(rows);
    must(uploader().read(best, 0, std::as_writable_bytes(std::span(got))));
    return got;
  }

  static void check(const std::vector<float>& logits, const std::vector<std::uint32_t>& mask,
                    std::uint32_t rows, const params::ArgmaxParams& p) {
    std::vector<params::ArgmaxEntry> want(rows);
    reference::argmax(logits, mask, want, p);
    for (const bool wide : {false, true}) {
      const auto got = device_best(logits, mask, rows, p, wide);
      for (std::uint32_t r = 0; r < rows; r++) {
        EXPECT_EQ(got[r].token, want[r].token) << "row " << r << " of " << p.vocab_size;
        EXPECT_EQ(got[r].logit, want[r].logit) << "row " << r << " of " << p.vocab_size;
      }
    }
  }
  static params::ArgmaxParams params_for(std::uint32_t vocab, std::uint32_t padding) {
    return {
        .vocab_size = vocab, .logits_stride = vocab + padding, .mask_stride = (vocab + 31) / 32};
  }
};

TEST_F(ArgmaxTest, MatchesTheTwinOnAllSizes) {
  for (const std::uint32_t vocab : {1u, 31u, 33u, 2048u, 5003u, 262144u}) {
    const std::uint32_t rows = vocab > 100000 ? 2 : 5;
    const auto p = params_for(vocab, 3);
    const auto logits = normals(std::size_t{rows} * p.logits_stride, vocab);
    std::vector<std::uint32_t> mask(std::size_t{rows} * p.mask_stride);
    for (std::size_t i = 0; i < mask.size(); i++)
      mask[i] = static_cast<std::uint32_t>(i + 1) * 2654435761u;
    std::fill_n(mask.begin(), p.mask_stride, 0xffffffffu);  // bits past the vocabulary too
    check(logits, mask, rows, p);
  }
}

TEST_F(ArgmaxTest, TheLowestOfEqualLogitsWins) {
  const auto p = params_for(10000, 0);
  std::vector<float> logits(p.vocab_size, -5.0f);  // all equal and negative: token 0
  std::vector<std::uint32_t> mask(p.mask_stride, 0xffffffffu);
  check(logits, mask, 1, p);
  for (const std::size_t token : {9999u, 4003u, 4002u, 7000u}) logits[token] = 3.0f;
  check(logits, mask, 1, p);
}

TEST_F(ArgmaxTest, WhatTheMaskForbidsIsNeverChosen) {
  const auto p = params_for(5000, 0);
  std::vector<float> logits(std::size_t{3} * p.vocab_size);
  for (std::size_t i = 0; i < logits.size(); i++) logits[i] = -static_cast<float>(i);
  std::vector<std::uint32_t> mask(std::size_t{3} * p.mask_stride, 0);  // row 0: nothing allowed
  mask[p.mask_stride + 4999 / 32] = 1u << (4999 % 32);                 // row 1: the worst alone
  mask[std::size_t{2} * p.mask_stride + 10] = 0xff00u;                 // row 2: a few of one word
  check(logits, mask, 3, p);
  EXPECT_EQ(device_best(logits, mask, 1, p, false)[0].token, params::kNoToken);
}

}  // namespace
}  // namespace preflight::forward
