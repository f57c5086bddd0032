#include "vk/pipeline_statistics.h"

#include <fmt/format.h>

#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {
namespace {

double value_of(const VkPipelineExecutableStatisticKHR& statistic) {
  switch (statistic.format) {
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_BOOL32_KHR:
      return statistic.value.b32 == VK_TRUE ? 1 : 0;
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_INT64_KHR:
      return static_cast<double>(statistic.value.i64);
    case VK_PIPELINE_EXECUTABLE_STATISTIC_FORMAT_UINT64_KHR:
      return static_cast<double>(statistic.value.u64);
    default:
      return statistic.value.f64;
  }
}

}  // namespace

Result<PipelineStatistics> pipeline_statistics(const Device& device, const Pipeline& pipeline) {
  const DeviceState& state = device.state();
  if (!state.pipeline_statistics)
    return fail(ErrorCode::kUnsupported,
                fmt::format("\"{}\" keeps no statistics of pipelines", device.description().name));
  const auto properties_of = reinterpret_cast<PFN_vkGetPipelineExecutablePropertiesKHR>(
      vkGetDeviceProcAddr(state.device, "vkGetPipelineExecutablePropertiesKHR"));
  const auto statistics_of = reinterpret_cast<PFN_vkGetPipelineExecutableStatisticsKHR>(
      vkGetDeviceProcAddr(state.device, "vkGetPipelineExecutableStatisticsKHR"));
  const std::string what = fmt::format("reading the statistics of \"{}\"", pipeline.label());

  VkPipelineInfoKHR info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_INFO_KHR;
  info.pipeline = pipeline.handle();
  std::uint32_t n = 0;
  PREFLIGHT_TRY_VOID(check(properties_of(state.device, &info, &n, nullptr), what));
  std::vector<VkPipelineExecutablePropertiesKHR> executables(n);
  for (auto& executable : executables)
    executable.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_PROPERTIES_KHR;
  PREFLIGHT_TRY_VOID(check(properties_of(state.device, &info, &n, executables.data()), what));
  if (executables.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("\"{}\" has no executable of its own", pipeline.label()));

  // A compute pipeline is one program; a driver that lists more lists its parts after it.
  PipelineStatistics found{.subgroup_size = executables.front().subgroupSize, .values = {}};
  VkPipelineExecutableInfoKHR executable{};
  executable.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR;
  executable.pipeline = pipeline.handle();
  PREFLIGHT_TRY_VOID(check(statistics_of(state.device, &executable, &n, nullptr), what));
  std::vector<VkPipelineExecutableStatisticKHR> statistics(n);
  for (auto& statistic : statistics)
    statistic.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR;
  PREFLIGHT_TRY_VOID(check(statistics_of(state.device, &executable, &n, statistics.data()), what));
  for (const auto& statistic : statistics)
    found.values.push_back({statistic.name, value_of(statistic)});
  return found;
}

}  // namespace preflight::vk
