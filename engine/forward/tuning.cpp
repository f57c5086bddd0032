#include "engine/forward/tuning.h"

#include <algorithm>

namespace preflight::forward {

Tuning tuning_for(const vk::DeviceDescription& device) {
  if (device.software) {
    // llvmpipe runs 8 lanes, SwiftShader 4. A workgroup of exactly one subgroup needs no barrier,
    // and float16 arithmetic is emulated there: float32 is the fast tier.
    const std::uint32_t lanes = std::clamp(device.subgroup_size, 4u, 16u);
    return {.row = "software",
            .weight_lanes = lanes,
            .norm_lanes = lanes,
            .attention_lanes = lanes,
            .argmax_lanes = lanes,
            .chunk_rows = 256,
            .submission_ms = 1000.0,  // no watchdog and no desktop behind a CPU device
            .tier = vk::Tier::kBase,
            .reason = "one subgroup per workgroup: barriers and float16 cost most on a CPU"};
  }
  const std::uint32_t lanes = std::clamp(device.subgroup_size, 16u, 64u);
  return {.row = "gpu",
          .weight_lanes = lanes,
          .norm_lanes = std::min(256u, device.max_workgroup_invocations),
          .attention_lanes = 64,
          .argmax_lanes = 128,
          .chunk_rows = 512,
          .submission_ms = 50.0,  // far below every driver's watchdog, and a desktop stays smooth
          .tier = device.best_tier >= vk::Tier::kF16 ? vk::Tier::kF16 : vk::Tier::kBase,
          .reason = "a weight group as wide as the subgroup reads consecutive 16-byte words"};
}

}  // namespace preflight::forward
