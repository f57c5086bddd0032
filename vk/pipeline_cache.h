#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include <vulkan/vulkan.h>

#include "vk/cache_file.h"
#include "vk/enumerate.h"
#include "vk/error.h"

namespace preflight::vk {

/// The driver's compiled pipelines, kept in a file between starts. The file belongs to one device,
/// driver and build; one that is another's, damaged or not ours is ignored.
class PipelineCache {
 public:
  /// `dir` empty: in memory only. A missing or unfit file is no error.
  [[nodiscard]] static Result<std::unique_ptr<PipelineCache>> create(
      VkDevice device, const PhysicalDevice& physical, const std::filesystem::path& dir);
  PipelineCache(const PipelineCache&) = delete;
  PipelineCache& operator=(const PipelineCache&) = delete;
  ~PipelineCache() = default;

  [[nodiscard]] VkPipelineCache handle() const { return handle_; }
  [[nodiscard]] const std::filesystem::path& file() const { return file_.path(); }
  [[nodiscard]] bool loaded() const { return loaded_; }
  /// Writes the file if the cache has changed since it was read. Errors: kIo.
  [[nodiscard]] Result<void> save();
  void destroy();

 private:
  PipelineCache(VkDevice device, CacheFile file) : device_(device), file_(std::move(file)) {}

  VkDevice device_;
  VkPipelineCache handle_ = VK_NULL_HANDLE;
  CacheFile file_;
  std::uint64_t saved_hash_ = 0;
  bool loaded_ = false;
};

}  // namespace preflight::vk
