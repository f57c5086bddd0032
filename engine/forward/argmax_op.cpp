#include "engine/forward/argmax_op.h"

#include <array>

#include "shaders/params/argmax.h"

namespace preflight::forward {

Result<ArgmaxOp> make_argmax(Kernels& kernels, const Arena& arena, std::uint32_t vocab_size) {
  const params::ArgmaxParams push{
      .vocab_size = vocab_size, .logits_stride = vocab_size, .mask_stride = (vocab_size + 31) / 32};
  const std::array<vk::Slice, params::kArgmaxBindings> slices = {
      vk::whole(arena.logits), vk::whole(arena.masks), vk::whole(arena.partial),
      vk::whole(arena.best)};
  const auto pass = [&](std::uint32_t merges, std::uint32_t grid_y) -> Result<RowOp> {
    PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                  kernels.pipeline("argmax", params::kArgmaxBindings, sizeof(params::ArgmaxParams),
                                   {kernels.options().tuning.argmax_lanes, merges}));
    PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
    return RowOp::of(pipeline, bindings, push, grid_y);
  };
  ArgmaxOp op;
  PREFLIGHT_TRY(op.slices, pass(/*merges=*/0, params::kArgmaxSlices));
  PREFLIGHT_TRY(op.merge, pass(/*merges=*/1, 1));
  return op;
}

void ArgmaxOp::record(vk::CommandList& list, std::uint32_t n_rows) const {
  slices.record(list, n_rows);
  list.barrier();
  merge.record(list, n_rows);
}

}  // namespace preflight::forward
