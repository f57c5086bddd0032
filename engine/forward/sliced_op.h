#pragma once

#include <cstdint>
#include <span>

#include "engine/forward/kernels.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// A reduction of rows of the vocabulary in two passes of one shader, whose constants are its lanes
/// and whether it merges: slices of each row first, then the slices of a row.
struct SlicedOp {
  RowOp slices, merge;

  template <class Params>
  [[nodiscard]] static Result<SlicedOp> create(Kernels& kernels, const char* shader,
                                               std::span<const vk::Slice> buffers,
                                               const Params& push, std::uint32_t n_slices) {
    const auto pass = [&](std::uint32_t merges, std::uint32_t grid_y) -> Result<RowOp> {
      PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                    kernels.pipeline(shader, static_cast<std::uint32_t>(buffers.size()),
                                     sizeof push, {kernels.options().tuning.argmax_lanes, merges}));
      PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, buffers));
      return RowOp::of(pipeline, bindings, push, grid_y);
    };
    SlicedOp op;
    PREFLIGHT_TRY(op.slices, pass(/*merges=*/0, n_slices));
    PREFLIGHT_TRY(op.merge, pass(/*merges=*/1, 1));
    return op;
  }

  void record(vk::CommandList& list, std::uint32_t n_rows) const {
    slices.record(list, n_rows);
    list.barrier();
    merge.record(list, n_rows);
  }
};

}  // namespace preflight::forward
