#pragma once

#include <cstdint>

#include "engine/forward/arena.h"
#include "engine/forward/kernels.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// The best token that each row's mask allows, from the arena's logits: slices of the vocabulary
/// first, then the best of the slices.
struct ArgmaxOp {
  RowOp slices, merge;

  void record(vk::CommandList& list, std::uint32_t n_rows) const;
};

[[nodiscard]] Result<ArgmaxOp> make_argmax(Kernels& kernels, const Arena& arena,
                                           std::uint32_t vocab_size);

}  // namespace preflight::forward
