#include "vk/pipeline.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "vk/device_state.h"
#include "vk/result.h"

namespace preflight::vk {
namespace {

constexpr std::uint32_t kSpirvMagic = 0x07230203;

// What the addresses of bindings add to the push constants, padding in front of them included.
std::uint32_t address_bytes(const PipelineOptions& options) {
  const auto n =
      static_cast<std::uint32_t>(std::ranges::count(options.binding_kinds, BindingKind::kAddress));
  return n == 0 ? 0 : address_offset(options.push_bytes) - options.push_bytes + n * kAddressBytes;
}

Result<void> check_options(const DeviceDescription& d, const PipelineOptions& options) {
  if (options.spirv.size() < 5 || options.spirv.front() != kSpirvMagic) {
    return fail(ErrorCode::kInternal,
                fmt::format("pipeline \"{}\": its shader is not in this build", options.label));
  }
  if (options.n_bindings > d.max_storage_buffers) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("pipeline \"{}\" binds {} buffers, \"{}\" binds {} at most",
                            options.label, options.n_bindings, d.name, d.max_storage_buffers));
  }
  if (options.binding_kinds.size() > options.n_bindings) {
    return fail(ErrorCode::kInternal,
                fmt::format("pipeline \"{}\" has {} bindings, and kinds for {}", options.label,
                            options.n_bindings, options.binding_kinds.size()));
  }
  const std::uint32_t push_bytes = options.push_bytes + address_bytes(options);
  if (push_bytes > d.max_push_constant_bytes || options.push_bytes % 4 != 0) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("pipeline \"{}\" pushes {} bytes; \"{}\" takes {}, in steps of 4",
                            options.label, push_bytes, d.name, d.max_push_constant_bytes));
  }
  if (address_bytes(options) != 0 && !d.buffer_addresses) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("pipeline \"{}\" reads buffers by their address, \"{}\" gives none",
                            options.label, d.name));
  }
  const std::uint32_t width = options.required_subgroup_size;
  if (width != 0 &&
      ((width & (width - 1)) != 0 || width < d.min_subgroup_size || width > d.max_subgroup_size)) {
    return fail(
        ErrorCode::kUnsupported,
        fmt::format("pipeline \"{}\" needs subgroups of {}, \"{}\" has {} to {}", options.label,
                    width, d.name, d.min_subgroup_size, d.max_subgroup_size));
  }
  return {};
}

}  // namespace

Result<Pipeline> Pipeline::create(Device& device, const PipelineOptions& options) {
  DeviceState& state = device.state();
  PREFLIGHT_TRY_VOID(check_options(state.physical.description, options));
  Pipeline pipeline;
  pipeline.device_ = &state;
  pipeline.n_bindings_ = options.n_bindings;
  pipeline.binding_kinds_ = options.binding_kinds;
  pipeline.binding_kinds_.resize(options.n_bindings, BindingKind::kStorage);
  pipeline.push_bytes_ = options.push_bytes;
  pipeline.label_ = options.label;
  PREFLIGHT_TRY(pipeline.set_layout_, state.set_layout(pipeline.binding_kinds_));

  const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                 options.push_bytes + address_bytes(options)};
  VkPipelineLayoutCreateInfo layout{};
  layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
  layout.setLayoutCount = 1;
  layout.pSetLayouts = &pipeline.set_layout_;
  layout.pushConstantRangeCount = push.size > 0 ? 1 : 0;
  layout.pPushConstantRanges = &push;
  PREFLIGHT_TRY_VOID(
      check(vkCreatePipelineLayout(state.device, &layout, nullptr, &pipeline.layout_),
            fmt::format("making the layout of pipeline \"{}\"", options.label)));

  std::vector<VkSpecializationMapEntry> entries(options.constants.size());
  for (std::uint32_t i = 0; i < entries.size(); ++i) entries[i] = {i, i * 4, 4};
  VkSpecializationInfo constants{};
  constants.mapEntryCount = static_cast<std::uint32_t>(entries.size());
  constants.pMapEntries = entries.data();
  constants.dataSize = options.constants.size() * sizeof(std::uint32_t);
  constants.pData = options.constants.data();

  VkPipelineShaderStageRequiredSubgroupSizeCreateInfo width{};
  width.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO;
  width.requiredSubgroupSize = options.required_subgroup_size;

  VkShaderModuleCreateInfo module{};
  module.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
  module.codeSize = options.spirv.size_bytes();
  module.pCode = options.spirv.data();

  VkComputePipelineCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
  info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
  info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
  info.stage.pName = "main";
  info.stage.pSpecializationInfo = &constants;
  info.layout = pipeline.layout_;
  if (state.pipeline_statistics) info.flags |= VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR;
  if (options.required_subgroup_size != 0) {
    info.stage.pNext = &width;
    info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
  }
  PREFLIGHT_TRY_VOID(check(vkCreateShaderModule(state.device, &module, nullptr, &info.stage.module),
                           fmt::format("loading the shader of pipeline \"{}\"", options.label)));
  const VkResult created = vkCreateComputePipelines(state.device, state.pipeline_cache->handle(), 1,
                                                    &info, nullptr, &pipeline.pipeline_);
  vkDestroyShaderModule(state.device, info.stage.module, nullptr);
  PREFLIGHT_TRY_VOID(check(created, fmt::format("compiling pipeline \"{}\"", options.label)));
  state.set_name(VK_OBJECT_TYPE_PIPELINE, reinterpret_cast<std::uint64_t>(pipeline.pipeline_),
                 options.label);
  return pipeline;
}

Pipeline::Pipeline(Pipeline&& other) noexcept { *this = std::move(other); }

Pipeline& Pipeline::operator=(Pipeline&& other) noexcept {
  if (this != &other) {
    release();
    device_ = std::exchange(other.device_, nullptr);
    pipeline_ = std::exchange(other.pipeline_, VK_NULL_HANDLE);
    layout_ = std::exchange(other.layout_, VK_NULL_HANDLE);
    set_layout_ = other.set_layout_;
    n_bindings_ = other.n_bindings_;
    binding_kinds_ = std::move(other.binding_kinds_);
    push_bytes_ = other.push_bytes_;
    label_ = std::move(other.label_);
  }
  return *this;
}

Pipeline::~Pipeline() { release(); }

void Pipeline::release() {
  if (device_ != nullptr && device_->idle()) {
    vkDestroyPipeline(device_->device, pipeline_, nullptr);
    vkDestroyPipelineLayout(device_->device, layout_, nullptr);
  }
  device_ = nullptr;
}

}  // namespace preflight::vk
