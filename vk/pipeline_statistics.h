#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vk/device.h"
#include "vk/error.h"
#include "vk/pipeline.h"

namespace preflight::vk {

struct PipelineStatistic {
  std::string name;  ///< the driver's own
  double value;
};

/// What a driver's compiler says of a pipeline: registers, spills, code size, under its own names.
struct PipelineStatistics {
  std::uint32_t subgroup_size = 0;
  std::vector<PipelineStatistic> values;
};

/// Asks the driver (VK_KHR_pipeline_executable_properties). The device was created with
/// DeviceOptions::pipeline_statistics. Errors: kUnsupported when the driver keeps none.
[[nodiscard]] Result<PipelineStatistics> pipeline_statistics(const Device& device,
                                                             const Pipeline& pipeline);

}  // namespace preflight::vk
