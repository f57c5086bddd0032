#pragma once

#include <string_view>

#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::text {

/// Reads the content of a Hugging Face `tokenizer.json` (docs/text.md). The parts that change what
/// the ids mean (model type, byte fallback, normaliser, decoder) are compared with what Gemma 4
/// uses; anything else is kUnsupported, a malformed file kInvalidInput, each naming the field.
Result<TokenizerData> read_tokenizer_json(std::string_view json);

}  // namespace preflight::text
