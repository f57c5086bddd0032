#pragma once

#include <vector>

#include "bench/model/options.h"
#include "bench/model/results.h"
#include "vk/error.h"

namespace preflight::bench {

/// What the machine's processors can do without a driver between, as the measure of a CPU device:
/// GB/s that all of them read together, and GFLOP/s of their fused multiply-adds of 256 bits (AVX2;
/// left out on processors without). On a CPU device alone; empty on others.
[[nodiscard]] Result<std::vector<Figure>> measure_processor(const Subject& subject,
                                                            const ModelOptions& options);

}  // namespace preflight::bench
