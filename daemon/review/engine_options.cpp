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
  if (settings.tier == "base") options.tier = vk::Tier::kBase;
  if (settings.tier == "f16") options.tier = vk::Tier::kF16;
  options.kv = settings.kv == "f32" ? engine::KvFormat::kF32 : engine::KvFormat::kF16;
  options.context_tokens =
      settings.context_tokens == 0 ? kDefaultContextTokens : settings.context_tokens;
  options.max_sequences = kMaxSequences;
  return options;
}

}  // namespace preflight::daemon
