#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "engine/model/config_reader.h"

namespace preflight::model {
namespace {

Result<std::vector<LayerKind>> read_layer_kinds(const JsonView& text, std::uint32_t n_layers) {
  PREFLIGHT_TRY(const std::vector<std::string> names, text.texts("layer_types"));
  if (names.size() != n_layers)
    return text.wrong(ErrorCode::kInvalidInput, "layer_types",
                      fmt::format("has {} entries, expected {} as num_hidden_layers says",
                                  names.size(), n_layers));
  std::vector<LayerKind> kinds;
  for (const std::string& name : names) {
    if (name != "sliding_attention" && name != "full_attention")
      return text.wrong(
          ErrorCode::kUnsupported, "layer_types",
          fmt::format("holds {}, expected \"sliding_attention\" or \"full_attention\"",
                      in_quotes(name)));
    kinds.push_back(name == "full_attention" ? LayerKind::kFull : LayerKind::kSliding);
  }
  // The reference forces its last layer to be full whatever the list says.
  if (!kinds.empty()) kinds.back() = LayerKind::kFull;
  return kinds;
}

/// The frequencies of one layer kind (docs/model.md#rope).
Result<std::vector<float>> read_frequencies(const JsonView& rope, const char* kind,
                                            std::uint32_t head_dim) {
  PREFLIGHT_TRY(const JsonView entry, rope.object(kind));
  PREFLIGHT_TRY(const std::string type, entry.text("rope_type"));
  PREFLIGHT_TRY(const double theta, entry.number("rope_theta"));
  if (!(theta > 1.0) || theta > 1e30)
    return entry.wrong(ErrorCode::kInvalidInput, "rope_theta",
                       fmt::format("is {}, expected more than 1", theta));
  PREFLIGHT_TRY(const std::optional<double> share, entry.find_number("partial_rotary_factor"));
  PREFLIGHT_TRY(const std::optional<double> factor, entry.find_number("factor"));
  if (share && !(*share >= 0.0 && *share <= 1.0))
    return entry.wrong(ErrorCode::kInvalidInput, "partial_rotary_factor",
                       fmt::format("is {}, expected 0 to 1", *share));
  if (factor && !(*factor > 0.0 && *factor < 1e6))
    return entry.wrong(ErrorCode::kInvalidInput, "factor",
                       fmt::format("is {}, expected a positive number", *factor));
  if (type == "default") {
    for (const char* key : {"partial_rotary_factor", "factor"})
      if (entry.has(key) && (key[0] == 'p' ? *share : *factor) != 1.0)
        return entry.wrong(ErrorCode::kUnsupported, key,
                           "has no meaning for \"default\", expected 1");
  } else if (type != "proportional") {
    return entry.wrong(
        ErrorCode::kUnsupported, "rope_type",
        fmt::format("is {}, expected \"default\" or \"proportional\"", in_quotes(type)));
  }
  const auto n_rotated = static_cast<std::uint32_t>(
      std::floor(share.value_or(1.0) * static_cast<double>(head_dim) / 2.0));
  std::vector<float> out = rotary_frequencies(theta, head_dim, n_rotated);
  if (factor)
    for (float& frequency : out) frequency /= static_cast<float>(*factor);
  return out;
}

/// Sizes of full layers. Newer files leave out the two keys; the tensors always say them.
Result<AttentionShape> read_full_shape(const JsonView& text, const ModelConfig& config,
                                       TensorTable& tensors) {
  const auto first =
      std::find(config.layer_kinds.begin(), config.layer_kinds.end(), LayerKind::kFull);
  const auto layer = first - config.layer_kinds.begin();
  AttentionShape shape;
  PREFLIGHT_TRY(const std::optional<std::uint32_t> head_dim, text.find_uint("global_head_dim"));
  if (head_dim) {
    shape.head_dim = *head_dim;
  } else {
    PREFLIGHT_TRY(const TensorTable::Entry* norm,
                  tensors.require(fmt::format("blk.{}.attn_q_norm.weight", layer), text.file()));
    // check_tensors compares the whole shape; a size beyond 32 bits is none of a head anyway.
    shape.head_dim =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(norm->tensor.cols, 1u << 30));
  }
  // Full layers with a V projection of their own have the KV heads of sliding ones.
  if (!config.full_value_is_key) {
    shape.n_kv_heads = config.sliding.n_kv_heads;
    return shape;
  }
  PREFLIGHT_TRY(const std::optional<std::uint32_t> n_kv_heads,
                text.find_uint("num_global_key_value_heads"));
  if (n_kv_heads) {
    shape.n_kv_heads = *n_kv_heads;
  } else {
    PREFLIGHT_TRY(const TensorTable::Entry* keys,
                  tensors.require(fmt::format("blk.{}.attn_k.weight", layer), text.file()));
    shape.n_kv_heads = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(keys->tensor.rows / std::max(shape.head_dim, 1u), 1u << 30));
  }
  return shape;
}

/// A key that must agree with what the tensors say.
Result<void> check_equal(const JsonView& view, const char* key, std::uint64_t expected) {
  PREFLIGHT_TRY(const std::optional<std::uint32_t> value, view.find_uint(key));
  if (value && *value != expected)
    return view.wrong(ErrorCode::kInvalidInput, key,
                      fmt::format("is {}, but the tensors say {}", *value, expected));
  return {};
}

Result<void> read_vision(const JsonView& vision, TensorTable& tensors, ModelConfig& config) {
  PREFLIGHT_TRY_VOID(check_equal(vision, "model_patch_size", kPatchSide));
  PREFLIGHT_TRY(const double eps, vision.number("rms_norm_eps"));
  config.vision_rms_norm_eps = static_cast<float>(eps);
  PREFLIGHT_TRY(const TensorTable::Entry* projection,
                tensors.require("mm.input_projection.weight", vision.file()));
  const std::uint64_t width = projection->tensor.cols;
  PREFLIGHT_TRY(const TensorTable::Entry* positions,
                tensors.require("v.position_embd.weight", vision.file()));
  const Shape& shape = positions->shape;
  constexpr std::uint64_t kMostPositions = 1u << 16;
  if (shape.size() != 3 || shape[1] != 2 || shape[2] != width || shape[0] > kMostPositions ||
      width > (1u << 17))
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} has shape [{}], expected [positions, 2, {}]", positions->source,
                            fmt::join(shape, ", "), width));
  PREFLIGHT_TRY_VOID(check_equal(vision, "mm_embed_dim", width));
  PREFLIGHT_TRY_VOID(check_equal(vision, "mm_posemb_size", shape[0]));
  config.vision_embed_dim = static_cast<std::uint32_t>(width);
  config.vision_positions = static_cast<std::uint32_t>(shape[0]);
  return {};
}

Result<void> read_audio(const JsonView& audio, TensorTable& tensors, ModelConfig& config) {
  PREFLIGHT_TRY(const double eps, audio.number("rms_norm_eps"));
  config.audio_rms_norm_eps = static_cast<float>(eps);
  PREFLIGHT_TRY(const TensorTable::Entry* projection,
                tensors.require("mm.a.input_projection.weight", audio.file()));
  const std::uint64_t frame = projection->tensor.cols;
  if (frame != kAudioFrame)
    return fail(ErrorCode::kUnsupported, fmt::format("{} takes frames of {} samples, expected {}",
                                                     projection->source, frame, kAudioFrame));
  PREFLIGHT_TRY_VOID(check_equal(audio, "audio_samples_per_token", frame));
  PREFLIGHT_TRY_VOID(check_equal(audio, "audio_embed_dim", frame));
  config.audio_frame = kAudioFrame;
  return {};
}

}  // namespace

Result<JsonView> find_text_config(const JsonView& root) {
  PREFLIGHT_TRY(std::optional<JsonView> nested, root.find_object("text_config"));
  return nested ? *nested : root;
}

Result<void> refuse_foreign_features(const JsonView& text, std::uint32_t n_shared_kv_layers) {
  for (const char* key : {"hidden_size_per_layer_input", "num_kv_shared_layers", "num_experts"}) {
    const std::uint32_t expected =
        key == std::string_view("num_kv_shared_layers") ? n_shared_kv_layers : 0;
    PREFLIGHT_TRY(const std::optional<std::uint32_t> value, text.find_uint(key));
    if (value.value_or(expected) != expected)
      return text.wrong(
          ErrorCode::kUnsupported, key,
          fmt::format("is {}: a feature of other Gemma 4 models, expected {}", *value, expected));
  }
  for (const char* key : {"enable_moe_block", "use_double_wide_mlp", "attention_bias"}) {
    PREFLIGHT_TRY(const std::optional<bool> value, text.find_boolean(key));
    if (value.value_or(false))
      return text.wrong(ErrorCode::kUnsupported, key,
                        "is true: a feature of other Gemma 4 models, expected false");
  }
  PREFLIGHT_TRY(const std::string activation, text.text("hidden_activation"));
  if (activation != "gelu_pytorch_tanh")
    return text.wrong(ErrorCode::kUnsupported, "hidden_activation",
                      fmt::format("is {}, expected \"gelu_pytorch_tanh\"", in_quotes(activation)));
  return {};
}

Result<void> check_checkpoint_type(const JsonView& root) {
  PREFLIGHT_TRY(const std::string type, root.text("model_type"));
  if (type == "gemma4_unified_assistant")
    return root.wrong(
        ErrorCode::kUnsupported, "model_type",
        fmt::format("is {}: this is a drafter, which is given beside its model", in_quotes(type)));
  if (type != "gemma4_unified" && type != "gemma4_unified_text")
    return root.wrong(ErrorCode::kUnsupported, "model_type",
                      fmt::format("is {}, expected \"gemma4_unified\" or \"gemma4_unified_text\"",
                                  in_quotes(type)));
  if (root.has("architectures")) {
    constexpr std::array<std::string_view, 2> kKnown = {"Gemma4UnifiedForConditionalGeneration",
                                                        "Gemma4UnifiedForCausalLM"};
    PREFLIGHT_TRY(const std::vector<std::string> names, root.texts("architectures"));
    if (names.empty() || std::find(kKnown.begin(), kKnown.end(), names.front()) == kKnown.end())
      return root.wrong(
          ErrorCode::kUnsupported, "architectures",
          fmt::format("begins with {}, expected \"{}\" or \"{}\"",
                      names.empty() ? "nothing" : in_quotes(names.front()), kKnown[0], kKnown[1]));
  }
  PREFLIGHT_TRY(const JsonView text, find_text_config(root));
  return refuse_foreign_features(text, /*n_shared_kv_layers=*/0);
}

Result<ModelConfig> read_checkpoint_config(const JsonView& root, TensorTable& tensors) {
  PREFLIGHT_TRY(const JsonView text, find_text_config(root));
  ModelConfig config;
  PREFLIGHT_TRY(config.n_layers, text.uint("num_hidden_layers"));
  PREFLIGHT_TRY(config.model_dim, text.uint("hidden_size"));
  PREFLIGHT_TRY(config.n_heads, text.uint("num_attention_heads"));
  PREFLIGHT_TRY(config.ffn_dim, text.uint("intermediate_size"));
  PREFLIGHT_TRY(config.vocab_size, text.uint("vocab_size"));
  PREFLIGHT_TRY(config.sliding_window, text.uint("sliding_window"));
  PREFLIGHT_TRY(config.context_length, text.uint("max_position_embeddings"));
  PREFLIGHT_TRY(const double eps, text.number("rms_norm_eps"));
  config.rms_norm_eps = static_cast<float>(eps);
  PREFLIGHT_TRY(const std::optional<double> softcap, text.find_number("final_logit_softcapping"));
  if (softcap && *softcap != 0.0) config.logit_softcap = static_cast<float>(*softcap);
  PREFLIGHT_TRY(config.layer_kinds, read_layer_kinds(text, config.n_layers));
  PREFLIGHT_TRY(config.full_value_is_key, text.boolean("attention_k_eq_v"));
  PREFLIGHT_TRY(config.sliding.head_dim, text.uint("head_dim"));
  PREFLIGHT_TRY(config.sliding.n_kv_heads, text.uint("num_key_value_heads"));
  if (!config.layer_kinds.empty()) {
    PREFLIGHT_TRY(config.full, read_full_shape(text, config, tensors));
  }
  if (std::find(config.layer_kinds.begin(), config.layer_kinds.end(), LayerKind::kSliding) ==
      config.layer_kinds.end())
    config.sliding = {};
  PREFLIGHT_TRY_VOID(check_sizes(config, text.file()));
  config.embedding_scale = std::sqrt(static_cast<float>(config.model_dim));

  PREFLIGHT_TRY(const JsonView rope, text.object("rope_parameters"));
  if (config.sliding.head_dim != 0) {
    PREFLIGHT_TRY(config.sliding_inv_freq,
                  read_frequencies(rope, "sliding_attention", config.sliding.head_dim));
  }
  PREFLIGHT_TRY(config.full_inv_freq,
                read_frequencies(rope, "full_attention", config.full.head_dim));

  PREFLIGHT_TRY(const std::optional<bool> tied, text.find_boolean("tie_word_embeddings"));
  if (tied && !*tied && !tensors.contains("output.weight"))
    return text.wrong(ErrorCode::kInvalidInput, "tie_word_embeddings",
                      "is false, but there is no tensor \"lm_head.weight\"");
  PREFLIGHT_TRY(const std::optional<std::string> both_ways,
                text.find_text("use_bidirectional_attention"));
  if (both_ways && *both_ways != "vision")
    return text.wrong(ErrorCode::kUnsupported, "use_bidirectional_attention",
                      fmt::format("is {}, expected \"vision\" or null", in_quotes(*both_ways)));
  config.vision_bidirectional = both_ways.has_value();

  PREFLIGHT_TRY(const std::optional<JsonView> vision, root.find_object("vision_config"));
  if (vision) PREFLIGHT_TRY_VOID(read_vision(*vision, tensors, config));
  PREFLIGHT_TRY(const std::optional<JsonView> audio, root.find_object("audio_config"));
  if (audio) PREFLIGHT_TRY_VOID(read_audio(*audio, tensors, config));
  PREFLIGHT_TRY(const std::optional<std::string> name, root.find_text("_name_or_path"));
  config.name = name.value_or("");
  return config;
}

}  // namespace preflight::model
