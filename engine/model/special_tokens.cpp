#include "engine/model/special_tokens.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace preflight::model {
namespace {

/// A special token: its spelling, and where its id goes.
struct Marker {
  std::string_view spelling;
  std::int32_t SpecialTokens::*id;
  std::optional<std::int32_t> StatedIds::*stated = nullptr;
};

constexpr Marker kMarkers[] = {
    {"<bos>", &SpecialTokens::bos, &StatedIds::bos},
    {"<pad>", &SpecialTokens::pad, &StatedIds::pad},
    {"<eos>", &SpecialTokens::eos},
    {"<unk>", &SpecialTokens::unk, &StatedIds::unk},
    {"<mask>", &SpecialTokens::mask, &StatedIds::mask},
    {"<|turn>", &SpecialTokens::turn_open},
    {"<turn|>", &SpecialTokens::turn_close},
    {"<|channel>", &SpecialTokens::channel_open},
    {"<channel|>", &SpecialTokens::channel_close},
    {"<|think|>", &SpecialTokens::think},
    {"<|tool>", &SpecialTokens::tool_open},
    {"<tool|>", &SpecialTokens::tool_close},
    {"<|tool_call>", &SpecialTokens::tool_call_open},
    {"<tool_call|>", &SpecialTokens::tool_call_close},
    {"<|tool_response>", &SpecialTokens::tool_response_open},
    {"<tool_response|>", &SpecialTokens::tool_response_close},
    {"<|\"|>", &SpecialTokens::quote},
    {"<|image>", &SpecialTokens::boi, &StatedIds::boi},
    {"<|image|>", &SpecialTokens::image, &StatedIds::image},
    {"<image|>", &SpecialTokens::eoi, &StatedIds::eoi},
    {"<|audio>", &SpecialTokens::boa, &StatedIds::boa},
    {"<|audio|>", &SpecialTokens::audio, &StatedIds::audio},
    {"<audio|>", &SpecialTokens::eoa, &StatedIds::eoa},
    {"<|video|>", &SpecialTokens::video, &StatedIds::video},
};

/// Never legal in an answer, whatever the files say: they only ever stand in prompts.
constexpr std::int32_t SpecialTokens::*kPromptOnly[] = {
    &SpecialTokens::pad,   &SpecialTokens::bos,       &SpecialTokens::unk,
    &SpecialTokens::mask,  &SpecialTokens::tool_open, &SpecialTokens::tool_close,
    &SpecialTokens::think, &SpecialTokens::turn_open, &SpecialTokens::tool_response_close,
    &SpecialTokens::boi,   &SpecialTokens::image,     &SpecialTokens::eoi,
    &SpecialTokens::boa,   &SpecialTokens::audio,     &SpecialTokens::eoa,
    &SpecialTokens::video,
};

constexpr std::int32_t SpecialTokens::*kAlwaysStop[] = {
    &SpecialTokens::eos, &SpecialTokens::turn_close, &SpecialTokens::tool_response_open};

Result<void> check_media_markers(const ModelConfig& config, const SpecialTokens& tokens,
                                 std::string_view where) {
  const auto need = [&](std::string_view part, std::int32_t SpecialTokens::*id) -> Result<void> {
    if (tokens.*id >= 0) return {};
    for (const Marker& marker : kMarkers)
      if (marker.id == id)
        return fail(ErrorCode::kInvalidInput,
                    fmt::format("{}: the vocabulary has no \"{}\", which the {} part "
                                "of the model needs",
                                where, marker.spelling, part));
    return {};
  };
  if (config.has_vision())
    for (const auto id : {&SpecialTokens::boi, &SpecialTokens::image, &SpecialTokens::eoi})
      PREFLIGHT_TRY_VOID(need("image", id));
  if (config.has_audio())
    for (const auto id : {&SpecialTokens::boa, &SpecialTokens::audio, &SpecialTokens::eoa})
      PREFLIGHT_TRY_VOID(need("sound", id));
  return {};
}

/// The first of a key's ids, if any.
Result<std::optional<std::int32_t>> one_id(const JsonView& view, std::string_view key) {
  PREFLIGHT_TRY(const std::vector<std::int32_t> ids, view.ids(key));
  if (ids.empty()) return std::nullopt;
  return ids.front();
}

Result<std::optional<std::int32_t>> one_id(const GgufFile& file, std::string_view key) {
  PREFLIGHT_TRY(const std::optional<std::uint32_t> id, file.find_uint(key));
  if (!id) return std::nullopt;
  // Larger than any vocabulary either way; find_special_tokens says so with the number as found.
  return static_cast<std::int32_t>(std::min(*id, 0x7fffffffu));
}

}  // namespace

Result<StatedIds> stated_ids(const GgufFile& file) {
  StatedIds ids;
  PREFLIGHT_TRY(ids.bos, one_id(file, "tokenizer.ggml.bos_token_id"));
  PREFLIGHT_TRY(ids.pad, one_id(file, "tokenizer.ggml.padding_token_id"));
  PREFLIGHT_TRY(ids.eos, one_id(file, "tokenizer.ggml.eos_token_id"));
  PREFLIGHT_TRY(ids.unk, one_id(file, "tokenizer.ggml.unknown_token_id"));
  PREFLIGHT_TRY(ids.mask, one_id(file, "tokenizer.ggml.mask_token_id"));
  PREFLIGHT_TRY(const std::optional<std::int32_t> eot, one_id(file, "tokenizer.ggml.eot_token_id"));
  if (ids.eos) ids.stop.push_back(*ids.eos);
  if (eot) ids.stop.push_back(*eot);
  PREFLIGHT_TRY(const std::optional<std::vector<std::int64_t>> suppressed,
                file.find_ints("tokenizer.ggml.suppress_tokens"));
  for (const std::int64_t id : suppressed.value_or(std::vector<std::int64_t>{}))
    ids.suppressed.push_back(
        static_cast<std::int32_t>(std::clamp<std::int64_t>(id, -1, 0x7fffffff)));
  return ids;
}

Result<StatedIds> stated_ids(const JsonView& config, const std::optional<JsonView>& generation) {
  PREFLIGHT_TRY(const std::optional<JsonView> nested, config.find_object("text_config"));
  const JsonView& text = nested ? *nested : config;
  StatedIds ids;
  PREFLIGHT_TRY(ids.bos, one_id(text, "bos_token_id"));
  PREFLIGHT_TRY(ids.pad, one_id(text, "pad_token_id"));
  PREFLIGHT_TRY(ids.eos, one_id(text, "eos_token_id"));
  PREFLIGHT_TRY(ids.image, one_id(config, "image_token_id"));
  PREFLIGHT_TRY(ids.boi, one_id(config, "boi_token_id"));
  PREFLIGHT_TRY(ids.eoi, one_id(config, "eoi_token_id"));
  PREFLIGHT_TRY(ids.audio, one_id(config, "audio_token_id"));
  PREFLIGHT_TRY(ids.boa, one_id(config, "boa_token_id"));
  PREFLIGHT_TRY(ids.eoa, one_id(config, "eoa_token_index"));
  PREFLIGHT_TRY(ids.video, one_id(config, "video_token_id"));
  PREFLIGHT_TRY(ids.stop, text.ids("eos_token_id"));
  PREFLIGHT_TRY(const std::vector<std::int32_t> outer, config.ids("eos_token_id"));
  ids.stop.insert(ids.stop.end(), outer.begin(), outer.end());
  if (generation) {
    PREFLIGHT_TRY(const std::vector<std::int32_t> stop, generation->ids("eos_token_id"));
    ids.stop.insert(ids.stop.end(), stop.begin(), stop.end());
    PREFLIGHT_TRY(ids.suppressed, generation->ids("suppress_tokens"));
  }
  return ids;
}

Result<SpecialTokens> find_special_tokens(const ModelConfig& config,
                                          std::span<const std::string_view> tokens,
                                          const StatedIds& stated, std::string_view where) {
  const auto check_id = [&](std::string_view what, std::int32_t id) -> Result<void> {
    if (id >= 0 && static_cast<std::uint32_t>(id) < config.vocab_size) return {};
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: the id of {} is {}, expected 0 to {}",
                                                      where, what, id, config.vocab_size - 1));
  };
  SpecialTokens special;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || tokens[id].front() != '<') continue;
    for (const Marker& marker : kMarkers)
      if (marker.spelling == tokens[id] && special.*marker.id < 0)
        special.*marker.id = static_cast<std::int32_t>(id);
  }
  for (const Marker& marker : kMarkers) {
    if (marker.stated == nullptr || !(stated.*marker.stated)) continue;
    const std::int32_t id = *(stated.*marker.stated);
    PREFLIGHT_TRY_VOID(check_id(marker.spelling, id));
    std::int32_t& found = special.*marker.id;
    if (found >= 0 && found != id)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{}: the id of {} is {}, but the vocabulary has it at {}", where,
                              marker.spelling, id, found));
    found = id;
  }
  if (special.eos < 0 && stated.eos) {
    PREFLIGHT_TRY_VOID(check_id("<eos>", *stated.eos));
    special.eos = *stated.eos;
  }
  // Some published vocabularies lack this one spelling; the id is the same in all of them.
  constexpr std::int32_t kPublishedImage = 258880;
  constexpr std::int32_t kPublishedVideo = 258884;
  if (special.video < 0 && config.vocab_size == kPublishedVocabulary &&
      special.image == kPublishedImage)
    special.video = kPublishedVideo;
  if (special.bos < 0)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: the vocabulary has no \"<bos>\"", where));
  PREFLIGHT_TRY_VOID(check_media_markers(config, special, where));

  std::set<std::int32_t> suppressed;
  for (const std::int32_t id : stated.suppressed) {
    PREFLIGHT_TRY_VOID(check_id("a suppressed token", id));
    suppressed.insert(id);
  }
  for (const auto id : kPromptOnly)
    if (special.*id >= 0) suppressed.insert(special.*id);
  std::set<std::int32_t> stop;
  for (const std::int32_t id : stated.stop) {
    PREFLIGHT_TRY_VOID(check_id("a stop token", id));
    stop.insert(id);
  }
  for (const auto id : kAlwaysStop)
    if (special.*id >= 0) stop.insert(special.*id);
  for (const std::int32_t id : suppressed) stop.erase(id);
  if (stop.empty())
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: no token ends an answer: neither a stated end nor \"<eos>\" or "
                            "\"<turn|>\" in the vocabulary",
                            where));
  special.stop.assign(stop.begin(), stop.end());
  special.suppressed.assign(suppressed.begin(), suppressed.end());
  return special;
}

}  // namespace preflight::model
