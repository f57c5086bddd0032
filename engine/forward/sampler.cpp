#include "engine/forward/sampler.h"

#include <utility>
#include <vector>

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
      vk::whole(*buffers.bins),   vk::whole(*buffers.lists)};
  params::SampleParams push{.vocab_size = vocab_size,
                            .logits_stride = vocab_size,
                            .mask_stride = (vocab_size + 31) / 32,
                            .pass = 0,
                            .list_tokens = sample_list_tokens(vocab_size)};
  Sampler sampler;
  sampler.bins_ = buffers.bins;
  sampler.lists_ = buffers.lists;

  const vk::BindingSet* bindings = nullptr;  // one for all
  const auto op = [&](const char* shader, std::vector<std::uint32_t> constants,
                      std::uint32_t grid_y = 1) -> Result<RowOp> {
    PREFLIGHT_TRY(
        const vk::Pipeline* pipeline,
        kernels.pipeline(shader, params::kSampleBindings, sizeof push, std::move(constants)));
    if (bindings == nullptr) {
      PREFLIGHT_TRY(bindings, kernels.bind(*pipeline, slices));
    }
    return RowOp::of(pipeline, bindings, push, grid_y);
  };
  PREFLIGHT_TRY(sampler.bound_, op("sample_bound", {lanes}));
  PREFLIGHT_TRY(sampler.collect_, op("sample_collect", {lanes}, params::kArgmaxSlices));
  PREFLIGHT_TRY(sampler.grid_, op("sample_grid", {}));
  PREFLIGHT_TRY(sampler.draw_slices_, op("sample_draw", {lanes, /*merge=*/0}));
  PREFLIGHT_TRY(sampler.draw_merge_, op("sample_draw", {lanes, /*merge=*/1}));
  for (; push.pass < params::kSamplePasses; push.pass++) {
    PREFLIGHT_TRY(sampler.select_[push.pass], op("sample_select", {lanes}));
  }
  return sampler;
}

void Sampler::record_clear(vk::CommandList& list, std::uint32_t n_rows) const {
  list.fill({bins_, 0, n_rows * kSampleBinBytes}, 0);
  list.fill({lists_, 0, params::kSampleGridWords * sizeof(std::uint32_t)}, 0);
}

void Sampler::record(vk::CommandList& list, std::uint32_t n_rows) const {
  for (const RowOp* op : {&bound_, &collect_, &grid_}) {
    op->record(list, n_rows);
    list.barrier();
  }
  const auto on_written_grid = [&](const RowOp& op, std::uint32_t grid) {
    list.dispatch_indirect(*op.pipeline, *op.bindings, std::span(op.push).first(op.push_size),
                           {lists_, grid * sizeof(std::uint32_t), 3 * sizeof(std::uint32_t)});
    list.barrier();
  };
  for (const RowOp& pass : select_) on_written_grid(pass, params::kSampleGridSelect);
  on_written_grid(draw_slices_, params::kSampleGridDraw);
  draw_merge_.record(list, n_rows);
}

}  // namespace preflight::forward
