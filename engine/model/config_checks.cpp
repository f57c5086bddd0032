#include <cmath>

#include <fmt/format.h>

#include "engine/model/config_reader.h"

namespace preflight::model {
namespace {

Result<void> in_range(std::string_view where, std::string_view what, std::uint64_t value,
                      std::uint64_t least, std::uint64_t most) {
  if (value >= least && value <= most) return {};
  return fail(ErrorCode::kInvalidInput,
              fmt::format("{}: {} is {}, expected {} to {}", where, what, value, least, most));
}

Result<void> check_attention(const AttentionShape& shape, std::uint32_t n_heads,
                             std::string_view kind, std::string_view where) {
  constexpr std::uint32_t kLargestHead = 8192;
  PREFLIGHT_TRY_VOID(in_range(where, fmt::format("the head size of {} layers", kind),
                              shape.head_dim, 2, kLargestHead));
  if (shape.head_dim % 2 != 0)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: the head size of {} layers is {}, expected "
                            "an even number",
                            where, kind, shape.head_dim));
  PREFLIGHT_TRY_VOID(in_range(where, fmt::format("the number of KV heads of {} layers", kind),
                              shape.n_kv_heads, 1, n_heads));
  if (n_heads % shape.n_kv_heads != 0)
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{}: {} layers have {} query heads and {} KV heads, expected a multiple", where,
                    kind, n_heads, shape.n_kv_heads));
  return {};
}

Result<void> check_layer(const ModelConfig& config, std::uint32_t layer, TensorTable& tensors,
                         std::string_view where) {
  const std::uint64_t dim = config.model_dim;
  const LayerKind kind = config.layer_kinds[layer];
  const AttentionShape& shape = config.attention(kind);
  const std::uint64_t q_dim = std::uint64_t{config.n_heads} * shape.head_dim;
  const std::uint64_t kv_dim = std::uint64_t{shape.n_kv_heads} * shape.head_dim;
  struct Expected {
    std::string_view name;
    Shape shape;
  };
  const std::vector<Expected> expected = {{"attn_norm", {dim}},
                                          {"attn_q", {q_dim, dim}},
                                          {"attn_k", {kv_dim, dim}},
                                          {"attn_output", {dim, q_dim}},
                                          {"attn_q_norm", {shape.head_dim}},
                                          {"attn_k_norm", {shape.head_dim}},
                                          {"post_attention_norm", {dim}},
                                          {"ffn_norm", {dim}},
                                          {"ffn_gate", {config.ffn_dim, dim}},
                                          {"ffn_up", {config.ffn_dim, dim}},
                                          {"ffn_down", {dim, config.ffn_dim}},
                                          {"post_ffw_norm", {dim}}};
  const auto full_name = [layer](std::string_view name) {
    return fmt::format("blk.{}.{}.weight", layer, name);
  };
  for (const Expected& item : expected)
    PREFLIGHT_TRY_VOID(tensors.require(full_name(item.name), item.shape, where));
  if (kind == LayerKind::kSliding || !config.full_value_is_key)
    PREFLIGHT_TRY_VOID(tensors.require(full_name("attn_v"), {kv_dim, dim}, where));
  const std::string scale = full_name("layer_output_scale");
  if (tensors.contains(scale)) PREFLIGHT_TRY_VOID(tensors.require(scale, {1}, where));
  return {};
}

}  // namespace

std::vector<float> rotary_frequencies(double theta, std::uint32_t head_dim,
                                      std::uint32_t n_rotated) {
  std::vector<float> out(head_dim / 2, 0.0f);
  for (std::uint32_t i = 0; i < n_rotated && i < out.size(); ++i) {
    const float exponent = static_cast<float>(2 * i) / static_cast<float>(head_dim);
    const auto power = static_cast<float>(std::pow(theta, static_cast<double>(exponent)));
    out[i] = 1.0f / power;
  }
  return out;
}

Result<void> check_sizes(const ModelConfig& config, std::string_view where) {
  constexpr std::uint32_t kMostLayers = 1024;
  constexpr std::uint32_t kWidest = 1u << 17;
  PREFLIGHT_TRY_VOID(in_range(where, "the number of layers", config.n_layers, 1, kMostLayers));
  PREFLIGHT_TRY_VOID(in_range(where, "the model width", config.model_dim, 1, kWidest));
  PREFLIGHT_TRY_VOID(in_range(where, "the FFN width", config.ffn_dim, 1, 8 * kWidest));
  PREFLIGHT_TRY_VOID(in_range(where, "the number of query heads", config.n_heads, 1, 1024));
  PREFLIGHT_TRY_VOID(in_range(where, "the vocabulary size", config.vocab_size, 1, 1u << 24));
  PREFLIGHT_TRY_VOID(in_range(where, "the context length", config.context_length, 1, 1u << 30));
  if (!(config.rms_norm_eps > 0.0f) || config.rms_norm_eps > 1.0f)
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{}: the epsilon of the norms is {}, expected more than 0 and at most 1", where,
                    config.rms_norm_eps));
  if (config.logit_softcap && !(*config.logit_softcap > 0.0f))
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: the soft cap of the logits is {}, expected a "
                            "positive number",
                            where, *config.logit_softcap));
  bool any_sliding = false;
  bool any_full = false;
  for (const LayerKind kind : config.layer_kinds)
    (kind == LayerKind::kSliding ? any_sliding : any_full) = true;
  if (any_sliding) {
    PREFLIGHT_TRY_VOID(in_range(where, "the sliding window", config.sliding_window, 1, 1u << 30));
    PREFLIGHT_TRY_VOID(check_attention(config.sliding, config.n_heads, "sliding", where));
  }
  if (any_full) PREFLIGHT_TRY_VOID(check_attention(config.full, config.n_heads, "full", where));
  return {};
}

Result<void> check_tensors(const ModelConfig& config, TensorTable& tensors,
                           std::string_view where) {
  const std::uint64_t dim = config.model_dim;
  PREFLIGHT_TRY_VOID(tensors.require("token_embd.weight", {config.vocab_size, dim}, where));
  PREFLIGHT_TRY_VOID(tensors.require("output_norm.weight", {dim}, where));
  if (tensors.contains("output.weight"))
    PREFLIGHT_TRY_VOID(tensors.require("output.weight", {config.vocab_size, dim}, where));
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer)
    PREFLIGHT_TRY_VOID(check_layer(config, layer, tensors, where));
  if (config.has_vision()) {
    const std::uint64_t width = config.vision_embed_dim;
    PREFLIGHT_TRY_VOID(tensors.require("v.patch_embd.weight", {width, kPatchValues}, where));
    PREFLIGHT_TRY_VOID(tensors.require("v.patch_embd.bias", {width}, where));
    for (const std::string_view part : {"weight", "bias"}) {
      PREFLIGHT_TRY_VOID(
          tensors.require(fmt::format("v.patch_norm.1.{}", part), {kPatchValues}, where));
      PREFLIGHT_TRY_VOID(tensors.require(fmt::format("v.patch_norm.2.{}", part), {width}, where));
      PREFLIGHT_TRY_VOID(tensors.require(fmt::format("v.patch_norm.3.{}", part), {width}, where));
    }
    PREFLIGHT_TRY_VOID(tensors.require("mm.input_projection.weight", {dim, width}, where));
    // Its order of axes differs between the containers; the readers of the configuration checked
    // it.
    PREFLIGHT_TRY_VOID(tensors.require("v.position_embd.weight", where));
  }
  if (config.has_audio())
    PREFLIGHT_TRY_VOID(
        tensors.require("mm.a.input_projection.weight", {dim, config.audio_frame}, where));
  return tensors.check_all_used();
}

}  // namespace preflight::model
