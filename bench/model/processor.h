#pragma once

#include <vector>

#include "bench/model/options.h"
#include "bench/model/results.h"
#include "vk/error.h"

namespace preflight::bench {

/// What the machine's processors can do without a driver between, as the measure of a CPU device:
/// GB/s that all of them read together, and GFLOP/s of their fused multiply-adds of 256 bits (AVX2;
/// left out on processors without). On a CPU device alone; empty on others.
[[nodiscard]] Result<std::vector<Figure>> measure_processor(const engine::Engine& engine,
                                                            const ModelOptions& options);

/// The bytes that decoding at depth 0 reads a second, as a share of those that the processors can:
/// of figures with "decode_depth_0" and "processor_read" (its best sample), else empty. Every byte
/// of the model's file counts once a token.
[[nodiscard]] std::vector<Figure> share_of_read(const std::vector<Figure>& figures,
                                                std::uint64_t model_bytes);

}  // namespace preflight::bench
