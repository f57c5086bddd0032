#include "engine/run/engine_options.h"

#include <algorithm>
#include <cstdlib>

namespace preflight::run {

void add_engine_options(CLI::App& command, EngineOptions& options) {
  add_model_options(command, options.model);
  command.add_option("--device", options.device, "part of the device's name, in any letter case");
  command.add_option("--tier", options.tier, "kernels to use; default: the device's best")
      ->check(CLI::IsMember({"base", "f16", "dot", "coopmat"}));
  command.add_option("--kv", options.kv, "precision of the KV pages; default f16")
      ->check(CLI::IsMember({"f32", "f16"}));
  command.add_option("--context", options.context_tokens,
                     "positions to make room for; default: what the request needs");
}

engine::EngineOptions to_engine_options(const EngineOptions& options) {
  engine::EngineOptions engine_options;
  engine_options.model = options.model.model;
  engine_options.mmproj = options.model.mmproj;
  engine_options.drafter = options.drafter;
  engine_options.draft_tokens = options.draft_tokens;
  engine_options.device.name_contains = options.device;
  engine_options.device.cache_dir = user_cache_dir();
  engine_options.tier = vk::tier_named(options.tier);
  engine_options.kv = options.kv == "f32" ? engine::KvFormat::kF32 : engine::KvFormat::kF16;
  engine_options.context_tokens = options.context_tokens;
  engine_options.max_sequences = 1;
  engine_options.max_bookmarks = 0;
  return engine_options;
}

Result<std::unique_ptr<engine::Engine>> load_engine(const EngineOptions& options,
                                                    std::uint64_t n_tokens) {
  constexpr std::uint64_t kMost = 1u << 20;
  if (n_tokens > kMost)
    return fail(ErrorCode::kLimit, "the request is longer than any context, 1048576 tokens");
  engine::EngineOptions engine_options = to_engine_options(options);
  engine_options.context_tokens =
      std::max(options.context_tokens, static_cast<std::uint32_t>(n_tokens));
  return engine::Engine::load(engine_options);
}

std::filesystem::path user_cache_dir() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && cache[0] == '/')
    return std::filesystem::path(cache) / "preflight";
  if (const char* home = std::getenv("HOME"); home != nullptr && home[0] == '/')
    return std::filesystem::path(home) / ".cache" / "preflight";
  return {};
}

}  // namespace preflight::run
