#include "engine/plain_prompt.h"

#include <limits>
#include <span>

#include <fmt/format.h>

namespace preflight::engine {
namespace {

// Primes, so that neighbours lie far apart and no token comes again before all others have.
constexpr std::uint64_t kTokenStride = 104729, kSeedStride = 7919;

}  // namespace

Result<std::vector<Input>> plain_prompt(const generate::Vocabulary& vocabulary,
                                        std::uint32_t n_tokens, std::uint32_t seed) {
  const std::span<const std::uint32_t> mask =
      vocabulary.plain_mask(std::numeric_limits<std::size_t>::max());
  std::vector<std::int32_t> plain;
  for (std::size_t id = 0; id < vocabulary.size(); id++)
    if ((mask[id / 32] >> (id % 32) & 1) != 0) plain.push_back(static_cast<std::int32_t>(id));
  if (plain.empty())
    return fail(ErrorCode::kUnsupported,
                fmt::format("none of the vocabulary's {} tokens is plain text that the model may "
                            "produce, expected at least one",
                            vocabulary.size()));
  std::vector<Input> inputs(n_tokens);
  for (std::uint64_t i = 0; i < n_tokens; i++)
    inputs[i].token = plain[(seed * kSeedStride + i * kTokenStride) % plain.size()];
  return inputs;
}

}  // namespace preflight::engine
