#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/device.h"
#include "vk/error.h"

namespace preflight::vk {

/// What a buffer that a pipeline binds is to its shader.
enum class BindingKind : std::uint8_t {
  kStorage,  ///< a storage buffer
  kTexels1,  ///< a uniform texel buffer with elements of one uint32,
  kTexels2,  ///< of two
  kTexels4,  ///< and of four
  /// No descriptor: the shader reads it through a buffer reference. The addresses of all such
  /// bindings, 8 bytes each, stand behind the push constants, from the next multiple of 8. Needs
  /// DeviceDescription::buffer_addresses; nothing checks an index.
  kAddress,
};

struct PipelineOptions {
  std::span<const std::uint32_t> spirv = {};    ///< entry point "main"; read during create only
  std::uint32_t n_bindings = 0;                 ///< buffers 0 .. n-1 of set 0
  std::vector<BindingKind> binding_kinds = {};  ///< of the first bindings; the rest are kStorage
  /// Size of the push constant block without addresses; a multiple of 4.
  std::uint32_t push_bytes = 0;
  std::vector<std::uint32_t> constants =
      {};  ///< value of constant_id = index; floats by std::bit_cast
  /// Ask for this width, with full subgroups (the workgroup's x is a multiple of it); 0: the
  /// driver's choice.
  std::uint32_t required_subgroup_size = 0;
  std::string label = {};  ///< appears in errors and validation messages
};

/// A compute pipeline. All pipelines with bindings of the same kinds share one set layout.
/// Move-only; the Device outlives it, and no submission that names it is under way when it is
/// destroyed.
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
  [[nodiscard]] BindingKind binding_kind(std::uint32_t binding) const {
    return binding_kinds_[binding];
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
  std::vector<BindingKind> binding_kinds_;  // of every binding
  std::uint32_t push_bytes_ = 0;
  std::string label_;
};

}  // namespace preflight::vk
