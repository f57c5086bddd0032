#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "engine/model/gguf_file.h"
#include "engine/model/json_text.h"
#include "engine/model/model_config.h"
#include "vk/error.h"

namespace preflight::model {

/// What the files say about special ids by number. Everything else is looked up by spelling.
struct StatedIds {
  std::optional<std::int32_t> bos, pad, eos, unk, mask;
  std::optional<std::int32_t> image, boi, eoi, audio, boa, eoa, video;
  std::vector<std::int32_t> stop;
  std::vector<std::int32_t> suppressed;
};

[[nodiscard]] Result<StatedIds> stated_ids(const GgufFile& file);
/// `generation` is the generation_config.json, which a directory may lack.
[[nodiscard]] Result<StatedIds> stated_ids(const JsonView& config,
                                           const std::optional<JsonView>& generation);

/// The special tokens of a vocabulary, with the sets of stop and suppressed ids
/// (docs/model.md#special-tokens). `tokens` are the spellings by id, `where` names the file in
/// complaints: an id outside the vocabulary, a stated id whose spelling stands elsewhere, a marker
/// that the image or sound part needs and that is not there.
[[nodiscard]] Result<SpecialTokens> find_special_tokens(const ModelConfig& config,
                                                        std::span<const std::string_view> tokens,
                                                        const StatedIds& stated,
                                                        std::string_view where);

}  // namespace preflight::model
