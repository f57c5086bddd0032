#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include <vulkan/vulkan.h>

#include "vk/enumerate.h"
#include "vk/error.h"

namespace preflight::vk {

/// The driver's compiled pipelines, kept in a file between starts. The file name and a header carry
/// device, driver and build; a file that is another's, damaged or not ours is ignored.
class PipelineCache {
 public:
  /// `dir` empty: in memory only. A missing or unfit file is no error.
  [[nodiscard]] static Result<std::unique_ptr<PipelineCache>> create(
      VkDevice device, const PhysicalDevice& physical, const std::filesystem::path& dir);
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;
  ~PipelineCache() = default;

  [[nodiscard]] VkPipelineCache handle() const { return handle_; }
  [[nodiscard]] const std::filesystem::path& file() const { return file_; }
  [[nodiscard]] bool loaded() const { return loaded_; }
  /// Writes the file if the cache has changed since it was read. Errors: kIo.
  [[nodiscard]] Result<void> save();
  void destroy();

 private:
  explicit PipelineCache(VkDevice device) : device_(device) {}
  [[nodiscard]] std::vector<std::byte> read_file() const;

  VkDevice device_;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
  std::filesystem::path file_;
  std::vector<std::byte> key_;  // what a fitting file begins with
  std::uint64_t saved_hash_ = 0;
  bool loaded_ = false;
};

}  // namespace preflight::vk
