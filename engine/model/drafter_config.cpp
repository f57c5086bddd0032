#include "engine/model/drafter_config.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/model/config_reader.h"

namespace preflight::model {
namespace {

constexpr std::string_view kCheckpointType = "gemma4_unified_assistant";

Result<void> check_drafter_layer(const ModelConfig& config, std::uint32_t layer,
                                 TensorTable& tensors, std::string_view where) {
  const std::uint64_t dim = config.model_dim;
  const std::uint64_t ffn_dim = config.ffn_dim;
  const std::uint64_t head_dim = config.attention(config.layer_kinds[layer]).head_dim;
  const std::uint64_t q_dim = config.n_heads * head_dim;
  struct Expected {
    std::string_view name;
    Shape shape;
  };
  const std::vector<Expected> expected = {
      {"attn_norm", {dim}},          {"attn_q", {q_dim, dim}},       {"attn_q_norm", {head_dim}},
      {"attn_output", {dim, q_dim}}, {"post_attention_norm", {dim}}, {"ffn_norm", {dim}},
      {"ffn_gate", {ffn_dim, dim}},  {"ffn_up", {ffn_dim, dim}},     {"ffn_down", {dim, ffn_dim}},
      {"post_ffw_norm", {dim}}};
  for (const Expected& item : expected)
    PREFLIGHT_TRY_VOID(
        tensors.require(fmt::format("blk.{}.{}.weight", layer, item.name), item.shape, where));
  const std::string scale = fmt::format("blk.{}.layer_output_scale.weight", layer);
  if (tensors.contains(scale)) PREFLIGHT_TRY_VOID(tensors.require(scale, {1}, where));
  return {};
}

}  // namespace

Result<void> check_drafter_type(const GgufFile& file) {
  PREFLIGHT_TRY(const std::string_view architecture, file.text("general.architecture"));
  // The second spelling is that of some community files.
  if (architecture != "gemma4-assistant" && architecture != "gemma4_assistant")
    return file.wrong(
        ErrorCode::kUnsupported, "general.architecture",
        fmt::format("is {}, expected \"gemma4-assistant\" for a drafter", in_quotes(architecture)));
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", architecture, name); };
  PREFLIGHT_TRY(const std::uint32_t n_layers, file.uint(key("block_count")));
  PREFLIGHT_TRY(const std::optional<std::uint32_t> n_predict,
                file.find_uint(key("nextn_predict_layers")));
  if (n_predict.value_or(n_layers) != n_layers)
    return file.wrong(ErrorCode::kUnsupported, key("nextn_predict_layers"),
                      fmt::format("is {}, expected {}: all layers", *n_predict, n_layers));
  return refuse_foreign_features(file, n_layers);
}

Result<void> check_drafter_type(const JsonView& root) {
  PREFLIGHT_TRY(const std::string type, root.text("model_type"));
  if (type != kCheckpointType)
    return root.wrong(
        ErrorCode::kUnsupported, "model_type",
        fmt::format("is {}, expected \"{}\" for a drafter", in_quotes(type), kCheckpointType));
  PREFLIGHT_TRY(const std::optional<bool> sparse, root.find_boolean("use_ordered_embeddings"));
  if (sparse.value_or(false))
    return root.wrong(ErrorCode::kUnsupported, "use_ordered_embeddings",
                      "is true: a feature of drafters of other Gemma 4 models, expected false");
  PREFLIGHT_TRY(const JsonView text, find_text_config(root));
  PREFLIGHT_TRY(const std::uint32_t n_layers, text.uint("num_hidden_layers"));
  return refuse_foreign_features(text, n_layers);
}

Result<DrafterConfig> read_drafter_config(const GgufFile& file, TensorTable& tensors) {
  PREFLIGHT_TRY(const std::string_view architecture, file.text("general.architecture"));
  DrafterConfig config;
  PREFLIGHT_TRY(config.layers, read_gguf_config(file, tensors));
  PREFLIGHT_TRY(config.target_dim, file.uint(fmt::format("{}.embedding_length_out", architecture)));
  // Files may carry the candidate lists of a sparse head; the dense head needs none.
  for (const char* name : {"masked_embd_centroids.weight", "masked_embd_ordering"})
    if (tensors.contains(name)) PREFLIGHT_TRY_VOID(tensors.require(name, file.name()));
  return config;
}

Result<DrafterConfig> read_drafter_config(const JsonView& root, TensorTable& tensors) {
  DrafterConfig config;
  PREFLIGHT_TRY(config.layers, read_checkpoint_config(root, tensors));
  PREFLIGHT_TRY(config.target_dim, root.uint("backbone_hidden_size"));
  return config;
}

Result<void> check_drafter_tensors(const DrafterConfig& config, TensorTable& tensors,
                                   std::string_view where) {
  const std::uint64_t dim = config.layers.model_dim;
  const std::uint64_t target_dim = config.target_dim;
  PREFLIGHT_TRY_VOID(tensors.require("token_embd.weight", {config.layers.vocab_size, dim}, where));
  PREFLIGHT_TRY_VOID(tensors.require("output_norm.weight", {dim}, where));
  PREFLIGHT_TRY_VOID(tensors.require("nextn.pre_projection.weight", {dim, 2 * target_dim}, where));
  PREFLIGHT_TRY_VOID(tensors.require("nextn.post_projection.weight", {target_dim, dim}, where));
  for (std::uint32_t layer = 0; layer < config.layers.n_layers; layer++)
    PREFLIGHT_TRY_VOID(check_drafter_layer(config.layers, layer, tensors, where));
  return tensors.check_all_used();
}

Result<void> check_drafter_fits(const DrafterConfig& drafter, const ModelConfig& target,
                                std::string_view name) {
  const auto equal = [&](std::string_view what, const auto& found,
                         const auto& expected) -> Result<void> {
    if (found == expected) return {};
    return fail(ErrorCode::kUnsupported,
                fmt::format("{}: the drafter does not fit the model: {} is {}, expected {}", name,
                            what, found, expected));
  };
  PREFLIGHT_TRY_VOID(equal("the width of the target", drafter.target_dim, target.model_dim));
  PREFLIGHT_TRY_VOID(
      equal("the size of the vocabulary", drafter.layers.vocab_size, target.vocab_size));
  for (const LayerKind kind : {LayerKind::kSliding, LayerKind::kFull}) {
    const std::vector<LayerKind>& kinds = drafter.layers.layer_kinds;
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) continue;
    const bool full = kind == LayerKind::kFull;
    const AttentionShape& found = drafter.layers.attention(kind);
    const AttentionShape& expected = target.attention(kind);
    const std::string_view layers = full ? "full layers" : "sliding layers";
    PREFLIGHT_TRY_VOID(
        equal(fmt::format("the head size of {}", layers), found.head_dim, expected.head_dim));
    PREFLIGHT_TRY_VOID(equal(fmt::format("the number of KV heads of {}", layers), found.n_kv_heads,
                             expected.n_kv_heads));
    const auto& frequencies = full ? drafter.layers.full_inv_freq : drafter.layers.sliding_inv_freq;
    const auto& target_frequencies = full ? target.full_inv_freq : target.sliding_inv_freq;
    const auto [at, other] = std::mismatch(frequencies.begin(), frequencies.end(),
                                           target_frequencies.begin(), target_frequencies.end());
    if (at != frequencies.end())
      PREFLIGHT_TRY_VOID(
          equal(fmt::format("the rotation of pair {} of {}", at - frequencies.begin(), layers), *at,
                *other));
    if (full) continue;
    PREFLIGHT_TRY_VOID(
        equal("the sliding window", drafter.layers.sliding_window, target.sliding_window));
    // Its window ends one position later than its newest key.
    if (target.sliding_window < 2)
      return fail(ErrorCode::kUnsupported,
                  fmt::format("{}: a sliding window of 1 shows a drafter no key", name));
  }
  return {};
}

}  // namespace preflight::model
