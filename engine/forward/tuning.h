#pragma once

#include <cstdint>
#include <string_view>

#include "vk/device.h"

namespace preflight::forward {

/// Sizes that depend on the device and never on the model; one row of the tuning table. Results
/// depend on them only where a reduction is spread over lanes (norms), never on the step's shape.
struct Tuning {
  std::string_view row;           ///< name of the table's row
  std::uint32_t weight_lanes;     ///< rows of a weight group: lanes of a product's workgroup
  std::uint32_t norm_lanes;       ///< invocations that reduce one residual row
  std::uint32_t attention_lanes;  ///< invocations that serve one query head
  std::uint32_t argmax_lanes;
  std::uint32_t chunk_rows;  ///< prefill rows of one step, where time allows
  double submission_ms;      ///< longest submission aimed at
  vk::Tier tier;             ///< taken when nobody asks for another
  std::string_view reason;   ///< the measurement or the fact behind the row
};

/// The row for a device; there is one for every device.
[[nodiscard]] Tuning tuning_for(const vk::DeviceDescription& device);

}  // namespace preflight::forward
