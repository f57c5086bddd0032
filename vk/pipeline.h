#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

struct PipelineOptions {
  std::span<const std::uint32_t> spirv = {};  ///< entry point "main"; read during create only
  std::uint32_t n_bindings = 0;               ///< buffers 0 .. n-1 of set 0
  /// Format of binding i where the shader reads it as a uniform texel buffer; VK_FORMAT_UNDEFINED,
  /// and those past the end: a storage buffer. A texel format is one of 32-bit channels.
  std::vector<VkFormat> texel_formats = {};
  std::uint32_t push_bytes = 0;  ///< size of the push constant block; a multiple of 4
  std::vector<std::uint32_t> constants =
      {};  ///< value of constant_id = index; floats by std::bit_cast
  /// Ask for this width, with full subgroups (the workgroup's x is a multiple of it); 0: the
  /// driver's choice.
  std::uint32_t required_subgroup_size = 0;
  std::string label = {};  ///< appears in errors and validation messages
};

/// The type of a binding that is read as texels of a format, or, where that is VK_FORMAT_UNDEFINED,
/// is a storage buffer.
[[nodiscard]] constexpr VkDescriptorType descriptor_type(VkFormat texel_format) {
  return texel_format == VK_FORMAT_UNDEFINED ? VK_DESCRIPTOR_TYPE_STORAGE_BUFFER
                                             : VK_DESCRIPTOR_TYPE_UNIFORM_TEXEL_BUFFER;
}

/// A compute pipeline. All pipelines with bindings of the same kinds and formats share one set
/// layout. Move-only; the Device outlives it, and no submission that names it is under way when it
/// is destroyed.
class Pipeline {
 public:
  /// Errors: kUnsupported (limits of the device passed, subgroup size not offered), kOutOfMemory,
  /// each naming the label.
  [[nodiscard]] static Result<Pipeline> create(Device& device, const PipelineOptions& options);
  Pipeline(Pipeline&& other) noexcept;
  Pipeline& operator=(Pipeline&& other) noexcept;
  ~Pipeline();

  [[nodiscard]] VkPipeline handle() const { return pipeline_; }
  [[nodiscard]] VkPipelineLayout layout() const { return layout_; }
  [[nodiscard]] VkDescriptorSetLayout set_layout() const { return set_layout_; }
  [[nodiscard]] std::uint32_t n_bindings() const { return n_bindings_; }
  /// VK_FORMAT_UNDEFINED for a storage buffer.
  [[nodiscard]] VkFormat texel_format(std::uint32_t binding) const {
    return texel_formats_[binding];
  }
  [[nodiscard]] std::uint32_t push_bytes() const { return push_bytes_; }
  [[nodiscard]] const std::string& label() const { return label_; }

 private:
  Pipeline() = default;
  void release();

  DeviceState* device_ = nullptr;
  VkPipeline pipeline_ = VK_NULL_HANDLE;
  VkPipelineLayout layout_ = VK_NULL_HANDLE;
  VkDescriptorSetLayout set_layout_ = VK_NULL_HANDLE;  // the Device's
  std::uint32_t n_bindings_ = 0;
  std::vector<VkFormat> texel_formats_;  // of every binding
  std::uint32_t push_bytes_ = 0;
  std::string label_;
};

}  // namespace preflight::vk
