#pragma once

#include <string>
#include <vector>

#include "bench/model/options.h"
#include "engine/engine.h"
#include "vk/error.h"

namespace preflight::bench {

/// One figure: the median of its repeats, with the smallest and the largest.
struct Figure {
  std::string test;  ///< "prefill_512", "decode_depth_2048", "decode_rows_8", "load"
  std::string unit;  ///< "tokens/s", "s", "bytes"
  double median = 0, least = 0, most = 0;

  /// `samples` is not empty.
  [[nodiscard]] static Figure of(std::string test, std::string unit, std::vector<double> samples);
};

/// Prints the figures as a table; writes those files that the options name.
[[nodiscard]] Result<void> report(const ModelOptions& options, const engine::Engine& engine,
                                  const std::vector<Figure>& figures);

}  // namespace preflight::bench
