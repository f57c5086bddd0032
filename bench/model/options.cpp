#include "bench/model/options.h"

#include <algorithm>

namespace preflight::bench {

std::uint32_t ModelOptions::context_tokens() const {
  const auto most = [](const std::vector<std::uint32_t>& values) {
    return values.empty() ? 0u : *std::ranges::max_element(values);
  };
  constexpr std::uint32_t kPage = 64;  // what a sequence of few tokens takes
  const std::uint32_t together = most(decode_rows) * (decode_tokens + 2 * kPage);
  // A token is a byte at least; the chat form adds a few. The two answers fork from the prompt.
  std::size_t longest_prompt = 0;
  for (const std::string& text : prompts) longest_prompt = std::max(longest_prompt, text.size());
  const auto drafted = static_cast<std::uint32_t>(longest_prompt) + 2 * (decode_tokens + 2 * kPage);
  return std::max({most(prefill_tokens), most(depth_tokens) + decode_tokens, together,
                   2 * (most(verify_drafts) + 2 * kPage), prompts.empty() ? 0 : drafted}) +
         kPage;
}

engine::EngineOptions ModelOptions::engine_options() const {
  engine::EngineOptions options;
  options.model = model;
  options.drafter = drafter;
  options.device.name_contains = device;
  options.tier = vk::tier_named(tier);
  options.context_tokens = context_tokens();
  options.max_sequences =
      std::max(2u, decode_rows.empty() ? 0u : *std::ranges::max_element(decode_rows));
  options.max_bookmarks = 0;
  return options;
}

}  // namespace preflight::bench
