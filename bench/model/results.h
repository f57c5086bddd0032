#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/model/options.h"
#include "engine/model/model_config.h"
#include "vk/device.h"
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

/// The figure of that name; null where there is none.
[[nodiscard]] const Figure* find(const std::vector<Figure>& figures, std::string_view test);

/// What was measured, and on what: outlives the engine.
struct Subject {
  vk::DeviceDescription device;
  vk::Tier tier = vk::Tier::kBase;
  model::ModelConfig config;
  std::uint64_t file_bytes = 0;
};

/// Prints the figures as a table; writes those files that the options name.
[[nodiscard]] Result<void> report(const ModelOptions& options, const Subject& subject,
                                  const std::vector<Figure>& figures);

}  // namespace preflight::bench
