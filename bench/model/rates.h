#pragma once

#include <vector>

#include "bench/model/options.h"
#include "bench/model/results.h"
#include "engine/engine.h"
#include "vk/error.h"

namespace preflight::bench {

/// Prompts of the lengths asked for: every row through the layers, the last one through the head.
[[nodiscard]] Result<std::vector<Figure>> measure_prefill(engine::Engine& engine,
                                                          const ModelOptions& options);
/// One row, continued from each depth.
[[nodiscard]] Result<std::vector<Figure>> measure_depths(engine::Engine& engine,
                                                         const ModelOptions& options);
/// Several rows of sequences of their own in one step; tokens of all rows together.
[[nodiscard]] Result<std::vector<Figure>> measure_rows(engine::Engine& engine,
                                                       const ModelOptions& options);

/// Verification of so many drafts of one sequence: milliseconds of the step, and how many times a
/// step of one row that is. kInternal where a step of drafts that decoding wrote does not agree.
[[nodiscard]] Result<std::vector<Figure>> measure_verify(engine::Engine& engine,
                                                         const ModelOptions& options);

}  // namespace preflight::bench
