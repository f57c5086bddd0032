#pragma once

#include <cstdint>

#include "bench/review/workload.h"
#include "engine/engine.h"
#include "vk/error.h"

namespace preflight::bench {

/// What a workload took.
struct ReviewCost {
  double seconds = 0;
  std::uint64_t answers = 0;
  std::uint64_t read_tokens = 0;     ///< of prompts, evaluated
  std::uint64_t cached_tokens = 0;   ///< of prompts, found in the prefix cache
  std::uint64_t written_tokens = 0;  ///< of answers, forced ones among them
  std::uint64_t forced_tokens = 0;   ///< appended without a step of their own
  std::uint64_t steps = 0;           ///< each reads the weights once
  /// Fewer than one for each token of the longest answers, by forced text and by drafts.
  std::uint64_t saved_steps = 0, draft_saved_steps = 0;

  [[nodiscard]] double tokens_per_step() const {
    return static_cast<double>(read_tokens + written_tokens) / static_cast<double>(steps);
  }
};

/// Sequences that review() holds open at once.
[[nodiscard]] std::uint32_t review_sequences(const Workload& workload);

/// Positions that they hold together.
[[nodiscard]] std::uint32_t review_tokens(const Workload& workload);

/// The prefix once, each variant once behind what the prefix cache has, each question on a fork of
/// its variant; as many answers in one step as a narrow step takes.
[[nodiscard]] Result<ReviewCost> review(engine::Engine& engine, const Workload& workload);

}  // namespace preflight::bench
