#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "engine/generate/vocabulary.h"
#include "vk/error.h"

namespace preflight::engine {

/// Inputs for measurements, where only the number of tokens matters: tokens of plain text from all
/// over the vocabulary, none special, suppressed or a placeholder, wherever those stand. The same
/// seed gives the same tokens. Errors: kUnsupported where the vocabulary has no plain token.
[[nodiscard]] Result<std::vector<Input>> plain_prompt(const generate::Vocabulary& vocabulary,
                                                      std::uint32_t n_tokens, std::uint32_t seed);

}  // namespace preflight::engine
