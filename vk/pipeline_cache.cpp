#include "vk/pipeline_cache.h"

#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "vk/build_id.h"
#include "vk/result.h"

namespace preflight::vk {
namespace {

CacheFile file_of(const PhysicalDevice& physical, const std::filesystem::path& dir) {
  std::vector<std::byte> version;
  const auto add = [&version](const auto& id) {
    const auto bytes = std::as_bytes(std::span(id));
    version.insert(version.end(), bytes.begin(), bytes.end());
  };
  add(physical.pipeline_cache_uuid);
  add(build_id());
  return {dir, "pipelines", physical.description, version};
}

}  // namespace

Result<std::unique_ptr<PipelineCache>> PipelineCache::create(VkDevice device,
                                                             const PhysicalDevice& physical,
                                                             const std::filesystem::path& dir) {
  std::unique_ptr<PipelineCache> cache(new PipelineCache(device, file_of(physical, dir)));
  // Whatever is wrong with a file, compiling again is the answer, and save() replaces it.
  std::vector<std::byte> payload;
  if (auto read = cache->file_.read(); read && *read) payload = std::move(**read);
  VkPipelineCacheCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = payload.size();
  info.pInitialData = payload.data();
  if (!payload.empty() &&
      vkCreatePipelineCache(device, &info, nullptr, &cache->handle_) == VK_SUCCESS) {
    cache->loaded_ = true;
    cache->saved_hash_ = hash_of(payload);
    return cache;
  }
  info.initialDataSize = 0;
  info.pInitialData = nullptr;
  PREFLIGHT_TRY_VOID(check(vkCreatePipelineCache(device, &info, nullptr, &cache->handle_),
                           "creating the pipeline cache"));
  return cache;
}

Result<void> PipelineCache::save() {
  if (file_.path().empty()) return {};
  std::size_t n = 0;
  PREFLIGHT_TRY_VOID(check(vkGetPipelineCacheData(device_, handle_, &n, nullptr),
                           "asking the size of the pipeline cache"));
  std::vector<std::byte> payload(n);
  PREFLIGHT_TRY_VOID(check(vkGetPipelineCacheData(device_, handle_, &n, payload.data()),
                           "reading the pipeline cache"));
  payload.resize(n);
  const std::uint64_t hash = hash_of(payload);
  if (payload.empty() || hash == saved_hash_) return {};
  PREFLIGHT_TRY_VOID(file_.write(payload));
  saved_hash_ = hash;
  return {};
}

void PipelineCache::destroy() {
  vkDestroyPipelineCache(device_, handle_, nullptr);
  handle_ = VK_NULL_HANDLE;
}

}  // namespace preflight::vk
