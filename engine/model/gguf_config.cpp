#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "engine/model/blocks.h"
#include "engine/model/config_reader.h"

namespace preflight::model {
namespace {

/// A key of the model: those begin with the name of the architecture.
std::string key_of(const GgufFile& file, std::string_view name) {
  return fmt::format("{}.{}", file.text("general.architecture").value_or("gemma4"), name);
}

/// A key that is one number for the whole model or one per layer: always one per layer here.
Result<std::vector<std::uint32_t>> per_layer(const GgufFile& file, std::string_view name,
                                             std::uint32_t n_layers) {
  const std::string key = key_of(file, name);
  PREFLIGHT_TRY(const std::optional<std::vector<std::int64_t>> values, file.find_ints(key));
  if (!values) return file.wrong(ErrorCode::kInvalidInput, key, "is missing");
  const bool list = file.is_array(key);
  if (list && values->size() != n_layers)
    return file.wrong(ErrorCode::kInvalidInput, key,
                      fmt::format("has {} entries, expected one for each of {} layers",
                                  values->size(), n_layers));
  std::vector<std::uint32_t> out;
  for (std::uint32_t layer = 0; layer < n_layers; ++layer) {
    const std::int64_t value = list ? (*values)[layer] : values->front();
    if (value < 0 || value > 0x7fffffff)
      return file.wrong(ErrorCode::kInvalidInput, key,
                        fmt::format("holds {} for layer {}, expected 0 or more", value, layer));
    out.push_back(static_cast<std::uint32_t>(value));
  }
  return out;
}

/// The one value that all layers (or all layers of a kind) must share.
Result<std::uint32_t> shared_value(const GgufFile& file, std::string_view name,
                                   const std::vector<std::uint32_t>& values,
                                   const std::vector<LayerKind>* kinds, LayerKind kind) {
  std::optional<std::uint32_t> shared;
  for (std::size_t layer = 0; layer < values.size(); ++layer) {
    if (kinds != nullptr && (*kinds)[layer] != kind) continue;
    if (shared && *shared != values[layer])
      return file.wrong(
          ErrorCode::kUnsupported, key_of(file, name),
          fmt::format("holds {} for layer {} and {} for an earlier layer of its kind, "
                      "expected the same",
                      values[layer], layer, *shared));
    shared = values[layer];
  }
  return shared.value_or(0);
}

Result<std::vector<LayerKind>> read_layer_kinds(const GgufFile& file, std::uint32_t n_layers) {
  const std::string key = key_of(file, "attention.sliding_window_pattern");
  std::vector<LayerKind> kinds;
  if (!file.is_array(key)) {
    // One number n says that every n-th layer is full; 0 that none is sliding.
    PREFLIGHT_TRY(const std::uint32_t every, file.uint(key));
    kinds.reserve(n_layers);
    for (std::uint32_t layer = 0; layer < n_layers; ++layer)
      kinds.push_back(every != 0 && (layer + 1) % every != 0 ? LayerKind::kSliding
                                                             : LayerKind::kFull);
    return kinds;
  }
  PREFLIGHT_TRY(const std::vector<std::uint32_t> values,
                per_layer(file, "attention.sliding_window_pattern", n_layers));
  for (const std::uint32_t value : values) {
    if (value > 1)
      return file.wrong(ErrorCode::kInvalidInput, key,
                        fmt::format("holds {}, expected true or false per layer", value));
    kinds.push_back(value == 1 ? LayerKind::kSliding : LayerKind::kFull);
  }
  return kinds;
}

/// Head size of one layer kind: the keys of key and value length with this suffix, which must agree
/// with each other and with the rotated size.
Result<std::uint32_t> read_head_dim(const GgufFile& file, std::string_view suffix,
                                    std::optional<std::uint32_t> fallback) {
  const std::string key = key_of(file, fmt::format("attention.key_length{}", suffix));
  PREFLIGHT_TRY(std::optional<std::uint32_t> head_dim, file.find_uint(key));
  if (!head_dim) head_dim = fallback;
  if (!head_dim) return file.wrong(ErrorCode::kInvalidInput, key, "is missing");
  for (const std::string_view other : {"attention.value_length", "rope.dimension_count"}) {
    const std::string other_key = key_of(file, fmt::format("{}{}", other, suffix));
    PREFLIGHT_TRY(const std::optional<std::uint32_t> value, file.find_uint(other_key));
    if (value && *value != *head_dim)
      return file.wrong(ErrorCode::kUnsupported, other_key,
                        fmt::format("is {}, expected {} as in {}", *value, *head_dim, key));
  }
  return *head_dim;
}

/// Divides the frequencies of full layers by the file's divisors, of which huge ones mean "no
/// turn".
Result<void> apply_rope_freqs(const ModelConfig& config, TensorTable& tensors,
                              std::string_view where, std::vector<float>& inv_freq) {
  constexpr std::string_view kName = "rope_freqs.weight";
  if (!tensors.contains(kName)) return {};
  PREFLIGHT_TRY(const TensorTable::Entry* entry,
                tensors.require(kName, {config.full.head_dim / 2}, where));
  std::vector<float> divisors(inv_freq.size());
  PREFLIGHT_TRY_VOID(read_rows(entry->tensor, 0, 1, divisors));
  // No position gets the angle of such a pair above the rounding of f32: it does not turn.
  constexpr float kStandsStill = 1e-16f;
  for (std::size_t i = 0; i < divisors.size(); ++i) {
    if (!(divisors[i] > 0.0f))
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{} holds {} at {}, expected positive divisors", entry->source,
                              divisors[i], i));
    inv_freq[i] /= divisors[i];
    if (inv_freq[i] < kStandsStill) inv_freq[i] = 0.0f;
  }
  return {};
}

Result<std::vector<float>> read_frequencies(const GgufFile& file, std::string_view name,
                                            std::uint32_t head_dim) {
  const std::string key = key_of(file, name);
  PREFLIGHT_TRY(const float theta, file.number(key));
  if (!(theta > 1.0f))
    return file.wrong(ErrorCode::kInvalidInput, key,
                      fmt::format("is {}, expected more than 1", theta));
  return rotary_frequencies(theta, head_dim, head_dim / 2);
}

Result<bool> read_value_is_key(const ModelConfig& config, TensorTable& tensors,
                               const std::string& where) {
  std::optional<bool> value_is_key;
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer) {
    if (config.layer_kinds[layer] != LayerKind::kFull) continue;
    const std::string name = fmt::format("blk.{}.attn_v.weight", layer);
    const bool absent = !tensors.contains(name);
    if (value_is_key && *value_is_key != absent)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: tensor \"{}\" is {}, unlike that of an earlier full layer",
                              where, name, absent ? "absent" : "there"));
    value_is_key = absent;
  }
  return value_is_key.value_or(false);
}

}  // namespace

Result<void> refuse_foreign_features(const GgufFile& file, std::uint32_t n_shared_kv_layers) {
  struct Feature {
    std::string_view key;
    std::string_view what;
    std::uint32_t expected;
  };
  const Feature features[] = {
      {"embedding_length_per_layer_input", "per-layer embeddings", 0},
      {"attention.shared_kv_layers", "KV sharing between layers", n_shared_kv_layers},
      {"expert_count", "a mixture of experts", 0},
      {"expert_used_count", "a mixture of experts", 0},
      {"expert_feed_forward_length", "a mixture of experts", 0},
  };
  for (const Feature& feature : features) {
    const std::string key = key_of(file, feature.key);
    PREFLIGHT_TRY(const std::optional<std::uint32_t> value, file.find_uint(key));
    if (value.value_or(feature.expected) != feature.expected)
      return file.wrong(ErrorCode::kUnsupported, key,
                        fmt::format("is {}: {} is a feature of other Gemma 4 models, expected {}",
                                    *value, feature.what, feature.expected));
  }
  const std::string scaling_key = key_of(file, "rope.scaling.type");
  PREFLIGHT_TRY(const std::optional<std::string_view> scaling, file.find_text(scaling_key));
  if (scaling && *scaling != "none")
    return file.wrong(ErrorCode::kUnsupported, scaling_key,
                      fmt::format("is {}, expected \"none\"", in_quotes(*scaling)));
  return {};
}

Result<void> check_gguf_type(const GgufFile& file) {
  PREFLIGHT_TRY(const std::string_view architecture, file.text("general.architecture"));
  if (architecture == "gemma4") {
    PREFLIGHT_TRY(const std::optional<std::string_view> type, file.find_text("general.type"));
    if (type && *type != "model")
      return file.wrong(ErrorCode::kUnsupported, "general.type",
                        fmt::format("is {}, expected \"model\"", in_quotes(*type)));
    return refuse_foreign_features(file, /*n_shared_kv_layers=*/0);
  }
  std::string_view hint = "";
  if (architecture == "clip") hint = "; an image and sound part is given beside its language model";
  if (architecture == "gemma4-assistant" || architecture == "gemma4_assistant")
    hint = "; this is a drafter, which is given beside its model";
  return file.wrong(ErrorCode::kUnsupported, "general.architecture",
                    fmt::format("is {}, expected \"gemma4\"{}", in_quotes(architecture), hint));
}

Result<ModelConfig> read_gguf_config(const GgufFile& file, TensorTable& tensors) {
  ModelConfig config;
  PREFLIGHT_TRY(config.n_layers, file.uint(key_of(file, "block_count")));
  PREFLIGHT_TRY(config.model_dim, file.uint(key_of(file, "embedding_length")));
  PREFLIGHT_TRY(config.context_length, file.uint(key_of(file, "context_length")));
  PREFLIGHT_TRY(config.sliding_window, file.uint(key_of(file, "attention.sliding_window")));
  PREFLIGHT_TRY(config.rms_norm_eps, file.number(key_of(file, "attention.layer_norm_rms_epsilon")));
  PREFLIGHT_TRY(config.logit_softcap, file.find_float(key_of(file, "final_logit_softcapping")));
  if (config.logit_softcap == 0.0f) config.logit_softcap.reset();
  constexpr std::uint32_t kMostLayers = 1024;  // one number per layer is made before check_sizes
  if (config.n_layers == 0 || config.n_layers > kMostLayers)
    return file.wrong(ErrorCode::kInvalidInput, key_of(file, "block_count"),
                      fmt::format("is {}, expected 1 to {}", config.n_layers, kMostLayers));

  PREFLIGHT_TRY(config.layer_kinds, read_layer_kinds(file, config.n_layers));
  const auto shared = [&](std::string_view name) -> Result<std::uint32_t> {
    PREFLIGHT_TRY(const std::vector<std::uint32_t> values, per_layer(file, name, config.n_layers));
    return shared_value(file, name, values, nullptr, LayerKind::kFull);
  };
  PREFLIGHT_TRY(config.ffn_dim, shared("feed_forward_length"));
  PREFLIGHT_TRY(config.n_heads, shared("attention.head_count"));

  PREFLIGHT_TRY(const std::vector<std::uint32_t> kv_heads,
                per_layer(file, "attention.head_count_kv", config.n_layers));
  PREFLIGHT_TRY(const std::uint32_t head_dim, read_head_dim(file, "", std::nullopt));
  for (const LayerKind kind : {LayerKind::kSliding, LayerKind::kFull}) {
    bool any = false;
    for (const LayerKind layer_kind : config.layer_kinds) any = any || layer_kind == kind;
    if (!any) continue;
    AttentionShape& shape = kind == LayerKind::kSliding ? config.sliding : config.full;
    shape.head_dim = head_dim;
    if (kind == LayerKind::kSliding) {
      PREFLIGHT_TRY(shape.head_dim, read_head_dim(file, "_swa", head_dim));
    }
    PREFLIGHT_TRY(shape.n_kv_heads, shared_value(file, "attention.head_count_kv", kv_heads,
                                                 &config.layer_kinds, kind));
  }

  PREFLIGHT_TRY(const std::vector<std::string_view> tokens, file.texts("tokenizer.ggml.tokens"));
  if (tokens.size() > 0xffffffffu)
    return file.wrong(ErrorCode::kInvalidInput, "tokenizer.ggml.tokens", "has too many entries");
  config.vocab_size = static_cast<std::uint32_t>(tokens.size());
  PREFLIGHT_TRY_VOID(check_sizes(config, file.name()));
  config.embedding_scale = std::sqrt(static_cast<float>(config.model_dim));
  if (config.sliding.head_dim != 0) {
    PREFLIGHT_TRY(config.sliding_inv_freq,
                  read_frequencies(file, "rope.freq_base_swa", config.sliding.head_dim));
  }
  if (config.full.head_dim != 0) {
    PREFLIGHT_TRY(config.full_inv_freq,
                  read_frequencies(file, "rope.freq_base", config.full.head_dim));
    PREFLIGHT_TRY_VOID(apply_rope_freqs(config, tensors, file.name(), config.full_inv_freq));
  }
  PREFLIGHT_TRY(config.full_value_is_key, read_value_is_key(config, tensors, file.name()));
  // The files say nothing about it; every model without per-layer embeddings sees images both ways.
  config.vision_bidirectional = true;
  PREFLIGHT_TRY(const std::optional<std::string_view> name, file.find_text("general.name"));
  config.name = std::string(name.value_or(""));
  return config;
}

namespace {

/// Whether the file has the part, and that it is the kind of part this model has.
Result<bool> has_part(const GgufFile& file, std::string_view part, std::string_view projector) {
  PREFLIGHT_TRY(const std::optional<bool> has,
                file.find_bool(fmt::format("clip.has_{}_encoder", part)));
  if (!has.value_or(false)) return false;
  const std::string key = fmt::format("clip.{}.projector_type", part);
  PREFLIGHT_TRY(const std::string_view found, file.text(key));
  if (found != projector)
    return file.wrong(ErrorCode::kUnsupported, key,
                      fmt::format("is {}, expected \"{}\"", in_quotes(found), projector));
  return true;
}

/// The image mean or deviation, which must leave pixels as they are.
Result<void> check_pixels(const GgufFile& file, std::string_view key, float expected) {
  if (!file.has(key)) return {};
  PREFLIGHT_TRY(const std::vector<float> values, file.floats(key));
  for (const float value : values)
    if (value != expected)
      return file.wrong(ErrorCode::kUnsupported, key,
                        fmt::format("holds {}, expected {} for every channel", value, expected));
  return {};
}

Result<void> read_vision(const GgufFile& file, TensorTable& tensors, ModelConfig& config) {
  PREFLIGHT_TRY(const std::uint32_t patch, file.uint("clip.vision.patch_size"));
  PREFLIGHT_TRY(const std::optional<std::uint32_t> factor,
                file.find_uint("clip.vision.projector.scale_factor"));
  const std::uint64_t side = std::uint64_t{patch} * factor.value_or(3);
  if (side != kPatchSide)
    return file.wrong(ErrorCode::kUnsupported, "clip.vision.patch_size",
                      fmt::format("is {}, which gives patches of {} pixels, expected {}", patch,
                                  side, kPatchSide));
  PREFLIGHT_TRY_VOID(check_pixels(file, "clip.vision.image_mean", 0.0f));
  PREFLIGHT_TRY_VOID(check_pixels(file, "clip.vision.image_std", 1.0f));
  PREFLIGHT_TRY(config.vision_rms_norm_eps,
                file.number("clip.vision.attention.layer_norm_epsilon"));
  PREFLIGHT_TRY(const TensorTable::Entry* projection,
                tensors.require("mm.input_projection.weight", file.name()));
  const std::uint64_t width = projection->tensor.cols;
  PREFLIGHT_TRY(const TensorTable::Entry* positions,
                tensors.require("v.position_embd.weight", file.name()));
  const Shape& shape = positions->shape;
  constexpr std::uint64_t kMostPositions = 1u << 16;
  if (shape.size() != 3 || shape[0] != 2 || shape[2] != width || shape[1] > kMostPositions ||
      width > (1u << 17))
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} has sizes [{}] outer to inner, expected [2, positions, {}]",
                            positions->source, fmt::join(shape, ", "), width));
  config.vision_embed_dim = static_cast<std::uint32_t>(width);
  config.vision_positions = static_cast<std::uint32_t>(shape[1]);
  return {};
}

Result<void> read_audio(const GgufFile& file, TensorTable& tensors, ModelConfig& config) {
  PREFLIGHT_TRY(config.audio_rms_norm_eps, file.number("clip.audio.attention.layer_norm_epsilon"));
  // clip.audio.num_mel_bins does not describe this model: its frames are raw samples.
  PREFLIGHT_TRY(const TensorTable::Entry* projection,
                tensors.require("mm.a.input_projection.weight", file.name()));
  if (projection->tensor.cols != kAudioFrame)
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} takes frames of {} samples, expected {}", projection->source,
                            projection->tensor.cols, kAudioFrame));
  config.audio_frame = kAudioFrame;
  return {};
}

}  // namespace

Result<void> check_mmproj_type(const GgufFile& file) {
  PREFLIGHT_TRY(const std::string_view architecture, file.text("general.architecture"));
  if (architecture != "clip")
    return file.wrong(ErrorCode::kUnsupported, "general.architecture",
                      fmt::format("is {}, expected \"clip\" for the image and sound part",
                                  in_quotes(architecture)));
  return {};
}

Result<void> read_mmproj_config(const GgufFile& file, TensorTable& tensors, ModelConfig& config) {
  PREFLIGHT_TRY(const bool vision, has_part(file, "vision", "gemma4uv"));
  PREFLIGHT_TRY(const bool audio, has_part(file, "audio", "gemma4ua"));
  if (!vision && !audio)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: holds neither an image nor a sound part", file.name()));
  if (vision) PREFLIGHT_TRY_VOID(read_vision(file, tensors, config));
  if (audio) PREFLIGHT_TRY_VOID(read_audio(file, tensors, config));
  return {};
}

}  // namespace preflight::model
