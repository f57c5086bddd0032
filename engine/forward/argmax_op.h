#pragma once

#include <cstdint>

#include "engine/forward/arena.h"
#include "engine/forward/kernels.h"
#include "engine/forward/sliced_op.h"
#include "vk/error.h"

namespace preflight::forward {

/// The best token that each row's mask allows, from the arena's logits.
[[nodiscard]] Result<SlicedOp> make_argmax(Kernels& kernels, const Arena& arena,
                                           std::uint32_t vocab_size);

}  // namespace preflight::forward
