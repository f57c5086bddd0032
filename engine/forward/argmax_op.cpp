#include "engine/forward/argmax_op.h"

#include <array>

#include "shaders/params/argmax.h"

namespace preflight::forward {

Result<SlicedOp> make_argmax(Kernels& kernels, const Arena& arena, std::uint32_t vocab_size) {
  const params::ArgmaxParams push{
      .vocab_size = vocab_size, .logits_stride = vocab_size, .mask_stride = (vocab_size + 31) / 32};
  const std::array<vk::Slice, params::kArgmaxBindings> slices = {
      vk::whole(arena.logits), vk::whole(arena.masks), vk::whole(arena.partial),
      vk::whole(arena.best)};
  return SlicedOp::create(kernels, "argmax", slices, push, params::kArgmaxSlices);
}

}  // namespace preflight::forward
