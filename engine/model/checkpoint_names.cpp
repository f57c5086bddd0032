#include <array>
#include <utility>

#include <fmt/format.h>

#include "engine/model/tensor_table.h"

namespace preflight::model {
namespace {

using Rename = std::pair<std::string_view, std::string_view>;

constexpr std::array<Rename, 14> kLayerNames = {
    {{"input_layernorm.weight", "attn_norm.weight"},
     {"post_attention_layernorm.weight", "post_attention_norm.weight"},
     {"pre_feedforward_layernorm.weight", "ffn_norm.weight"},
     {"post_feedforward_layernorm.weight", "post_ffw_norm.weight"},
     {"layer_scalar", "layer_output_scale.weight"},
     {"self_attn.q_proj.weight", "attn_q.weight"},
     {"self_attn.k_proj.weight", "attn_k.weight"},
     {"self_attn.v_proj.weight", "attn_v.weight"},
     {"self_attn.o_proj.weight", "attn_output.weight"},
     {"self_attn.q_norm.weight", "attn_q_norm.weight"},
     {"self_attn.k_norm.weight", "attn_k_norm.weight"},
     {"mlp.gate_proj.weight", "ffn_gate.weight"},
     {"mlp.up_proj.weight", "ffn_up.weight"},
     {"mlp.down_proj.weight", "ffn_down.weight"}}};

/// The image and sound parts, without the leading "model.". Saved files call the image part
/// vision_embedder; the library's own modules call it embed_vision.
constexpr std::array<Rename, 11> kMediaNames = {
    {{"patch_ln1.weight", "v.patch_norm.1.weight"},
     {"patch_ln1.bias", "v.patch_norm.1.bias"},
     {"patch_dense.weight", "v.patch_embd.weight"},
     {"patch_dense.bias", "v.patch_embd.bias"},
     {"patch_ln2.weight", "v.patch_norm.2.weight"},
     {"patch_ln2.bias", "v.patch_norm.2.bias"},
     {"pos_norm.weight", "v.patch_norm.3.weight"},
     {"pos_norm.bias", "v.patch_norm.3.bias"},
     {"pos_embedding", "v.position_embd.weight"},
     {"embedding_projection.weight", "mm.input_projection.weight"},
     {"multimodal_embedder.embedding_projection.weight", "mm.input_projection.weight"}}};

/// Removes `prefix` from the front of `name` if it is there.
bool strip(std::string_view& name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix) return false;
  name.remove_prefix(prefix.size());
  return true;
}

template <std::size_t n>
std::string_view renamed(const std::array<Rename, n>& table, std::string_view name) {
  for (const Rename& rename : table)
    if (rename.first == name) return rename.second;
  return {};
}

}  // namespace

std::string canonical_name(std::string_view name) {
  // Text-only saves, wrapped ones and the released checkpoints differ in what stands before.
  if (!strip(name, "model.language_model.") && !strip(name, "language_model.model.") &&
      !strip(name, "language_model."))
    strip(name, "model.");
  if (name == "embed_tokens.weight") return "token_embd.weight";
  if (name == "norm.weight") return "output_norm.weight";
  if (name == "lm_head.weight") return "output.weight";
  if (name == "pre_projection.weight" || name == "post_projection.weight")
    return fmt::format("nextn.{}", name);
  if (strip(name, "vision_embedder.") || strip(name, "embed_vision."))
    return std::string(renamed(kMediaNames, name));
  if (name == "embed_audio.embedding_projection.weight" ||
      name == "embed_audio.multimodal_embedder.embedding_projection.weight")
    return "mm.a.input_projection.weight";
  if (!strip(name, "layers.")) return {};
  const std::size_t dot = name.find('.');
  const std::string_view number = name.substr(0, dot);
  // The canonical spelling of a number only: "07" would be a second name of layer 7.
  if (dot == std::string_view::npos || number.empty() || number.size() > 4 ||
      number.find_first_not_of("0123456789") != std::string_view::npos ||
      (number.size() > 1 && number.front() == '0'))
    return {};
  const std::string_view rest = renamed(kLayerNames, name.substr(dot + 1));
  return rest.empty() ? std::string() : fmt::format("blk.{}.{}", number, rest);
}

}  // namespace preflight::model
