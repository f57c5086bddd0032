#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/kv/page_pool.h"

namespace preflight::forward {

/// What a step is for. Products of the two phases may add in different orders, so a row's phase
/// follows from what its token is and never from how many rows the step has: a prompt's last few
/// tokens are prefill, forty tokens that a schema forces are not.
enum class Phase {
  kPrefill,   ///< text and media that came with a request
  kGenerate,  ///< decoding, draft verification, forced text, the drafter's own steps, every head
};

/// Tokens that may follow a row, one bit for each; never null. Rows share what is the same for
/// them.
using TokenMask = std::shared_ptr<const std::vector<std::uint32_t>>;

/// One row of a step: a position of a sequence and what stands there.
struct StepRow {
  std::uint32_t sequence = 0;       ///< index into Step::sequences
  std::uint32_t position = 0;       ///< last key of a full layer; where K and V are stored
  std::uint32_t rope_position = 0;  ///< of its rotation: position, but one more for drafts
  std::uint32_t last_visible = 0;   ///< last key of a sliding layer: its block's end, else position
  std::int32_t token = 0;
  const float* soft_row = nullptr;  ///< f32 [model_dim] in place of the token's embedding
};

/// A sequence's pages by position / page size, with room for every row of the step.
struct StepSequence {
  std::span<const kv::PageId> sliding;
  std::span<const kv::PageId> full;
};

/// A set of rows that pass through the model together. Rows of one sequence stand together, in
/// ascending positions; a vision block lies whole in one step.
struct Step {
  Phase phase = Phase::kPrefill;
  std::vector<StepRow> rows;
  std::vector<StepSequence> sequences;
};

}  // namespace preflight::forward
