#include "engine/forward/sampler.h"

#include <fmt/format.h>

namespace preflight::forward {

Result<Sampler> Sampler::create(Kernels& kernels, std::uint32_t vocab_size,
                                const SampleBuffers& buffers) {
  if (vocab_size > params::kSampleMaxTokens)
    return fail(ErrorCode::kUnsupported,
                fmt::format("a vocabulary of {} tokens, expected at most {}", vocab_size,
                            params::kSampleMaxTokens));
  const std::uint32_t lanes = kernels.options().tuning.argmax_lanes;
  const std::array<vk::Slice, params::kSampleBindings> slices = {
      vk::whole(*buffers.logits), vk::whole(*buffers.masks), vk::whole(*buffers.partial),
      vk::whole(*buffers.best),   vk::whole(*buffers.rows),  vk::whole(*buffers.states),
      vk::whole(*buffers.bins)};
  params::SampleParams push{.vocab_size = vocab_size,
                            .logits_stride = vocab_size,
                            .mask_stride = (vocab_size + 31) / 32,
                            .pass = 0};
  Sampler sampler;
  sampler.bins_ = buffers.bins;

  PREFLIGHT_TRY(const vk::Pipeline* select,
                kernels.pipeline("sample_select", params::kSampleBindings, sizeof push, {lanes}));
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*select, slices));
  for (; push.pass < params::kSamplePasses; push.pass++)
    sampler.select_[push.pass] = RowOp::of(select, bindings, push, params::kArgmaxSlices);
  for (const std::uint32_t merge : {0u, 1u}) {
    PREFLIGHT_TRY(const vk::Pipeline* draw, kernels.pipeline("sample_draw", params::kSampleBindings,
                                                             sizeof push, {lanes, merge}));
    (merge == 0 ? sampler.draw_slices_ : sampler.draw_merge_) =
        RowOp::of(draw, bindings, push, merge == 0 ? params::kArgmaxSlices : 1);
  }
  return sampler;
}

void Sampler::record_clear(vk::CommandList& list, std::uint32_t n_rows) const {
  list.fill({bins_, 0, n_rows * kSampleBinBytes}, 0);
}

void Sampler::record(vk::CommandList& list, std::uint32_t n_rows) const {
  for (const RowOp& pass : select_) {
    pass.record(list, n_rows);
    list.barrier();
  }
  draw_slices_.record(list, n_rows);
  list.barrier();
  draw_merge_.record(list, n_rows);
}

}  // namespace preflight::forward
