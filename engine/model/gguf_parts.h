#pragma once

#include <filesystem>
#include <vector>

#include "engine/model/gguf_file.h"
#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::model {

/// A GGUF file with all its parts, the given one first. A file without split keys is its only part;
/// of a split one the first part must be given, the others lie beside it
/// (<prefix>-00001-of-00003.gguf). Errors name the part, its number and what was expected.
[[nodiscard]] Result<std::vector<GgufFile>> open_gguf_parts(const std::filesystem::path& path);

/// The vocabulary in the metadata of a language model GGUF.
[[nodiscard]] Result<text::TokenizerData> read_gguf_tokenizer(const GgufFile& file);

}  // namespace preflight::model
