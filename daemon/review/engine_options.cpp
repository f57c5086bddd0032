#include "daemon/review/engine_options.h"

#include <cstdint>

namespace preflight::daemon {
namespace {

constexpr std::uint32_t kDefaultContextTokens = 16384;
constexpr std::uint32_t kMaxSequences = 16;

}  // namespace

engine::EngineOptions engine_options(const ReviewerSettings& settings) {
  engine::EngineOptions options;
  options.model = settings.model;
  options.mmproj = settings.mmproj;
  options.drafter = settings.drafter;
  options.device.name_contains = settings.device;
  options.device.cache_dir = settings.cache_dir;
  options.tier = vk::tier_named(settings.tier);
  options.kv = settings.kv == "f32" ? engine::KvFormat::kF32 : engine::KvFormat::kF16;
  options.context_tokens =
      settings.context_tokens == 0 ? kDefaultContextTokens : settings.context_tokens;
  options.max_sequences = kMaxSequences;
  options.max_bookmarks = settings.bookmarks;
  return options;
}

}  // namespace preflight::daemon
