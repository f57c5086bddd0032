#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace preflight::model {

/// Which keys a layer's queries see (docs/model.md#masks).
enum class LayerKind : std::uint8_t {
  kSliding,  ///< the last `sliding_window` positions, the query's own included
  kFull,     ///< every earlier position
};

/// Head sizes of one layer kind. Every layer of the kind has the same.
struct AttentionShape {
  std::uint32_t head_dim = 0;    ///< even
  std::uint32_t n_kv_heads = 0;  ///< divides n_heads

  friend bool operator==(const AttentionShape&, const AttentionShape&) = default;
};

/// Everything the forward pass needs to know besides the weights. All of it is read from the files
/// and checked against the tensors' shapes; nothing here has a default that a file could leave out,
/// unless the comment names it (docs/model.md#configuration).
struct ModelConfig {
  std::uint32_t n_layers = 0;
  std::uint32_t model_dim = 0;
  std::uint32_t n_heads = 0;  ///< query heads, the same in both layer kinds
  std::uint32_t ffn_dim = 0;
  std::uint32_t vocab_size = 0;
  std::uint32_t sliding_window = 0;  ///< tokens, the query's own included
  std::uint32_t context_length = 0;  ///< tokens the model was trained for

  AttentionShape sliding;              ///< zero when no layer is sliding
  AttentionShape full;                 ///< zero when no layer is full
  std::vector<LayerKind> layer_kinds;  ///< [n_layers]

  /// Radians per position of each rotated pair (i, i + head_dim/2): [head_dim / 2], 0 where the
  /// pair passes unrotated. Partial rotation and the file's divisors are already in it
  /// (docs/model.md#rope).
  std::vector<float> sliding_inv_freq;
  std::vector<float> full_inv_freq;

  float rms_norm_eps = 0.0f;
  std::optional<float> logit_softcap;  ///< absent: logits are used as they come
  float embedding_scale = 0.0f;        ///< sqrt(model_dim), rounded once to f32

  bool full_value_is_key = false;  ///< full layers have no V projection: V is the raw K projection
  bool vision_bidirectional = false;  ///< image blocks see both ways on sliding layers

  std::uint32_t vision_embed_dim = 0;  ///< 0 without an image part; a patch has kPatchValues inputs
  std::uint32_t vision_positions = 0;  ///< rows of each axis of the position table
  std::uint32_t audio_frame = 0;       ///< 0 without a sound part, else kAudioFrame
  /// Of the weightless norms before the two projections; the LayerNorms of the image part use 1e-5
  /// whatever the file says (docs/model.md#vision-embedder).
  float vision_rms_norm_eps = 0.0f;
  float audio_rms_norm_eps = 0.0f;

  std::string name;               ///< as the file calls itself; for people only
  std::string architecture_note;  ///< one line for people: layers, sizes, weight types
  std::string weight_types;       ///< of the matrices: "96 Q4_K, 12 Q6_K"

  [[nodiscard]] bool has_vision() const { return vision_embed_dim != 0; }
  [[nodiscard]] bool has_audio() const { return audio_frame != 0; }
  [[nodiscard]] const AttentionShape& attention(LayerKind kind) const {
    return kind == LayerKind::kSliding ? sliding : full;
  }
};

/// Entries of the vocabulary that is published with the model.
inline constexpr std::uint32_t kPublishedVocabulary = 262144;

/// Side of an image patch in pixels, and the values of one: 48 x 48 x 3.
inline constexpr std::uint32_t kPatchSide = 48;
inline constexpr std::uint32_t kPatchValues = kPatchSide * kPatchSide * 3;
/// Samples of a frame of sound: 40 ms.
inline constexpr std::uint32_t kAudioFrame = 640;

/// Vocabulary ids with a meaning of their own; -1 where the vocabulary has no such token.
struct SpecialTokens {
  std::int32_t bos = -1;
  std::int32_t pad = -1;
  std::int32_t eos = -1;
  std::int32_t unk = -1;
  std::int32_t mask = -1;
  std::int32_t turn_open = -1;            ///< <|turn>
  std::int32_t turn_close = -1;           ///< <turn|>
  std::int32_t channel_open = -1;         ///< <|channel>
  std::int32_t channel_close = -1;        ///< <channel|>
  std::int32_t think = -1;                ///< <|think|>
  std::int32_t tool_open = -1;            ///< <|tool>
  std::int32_t tool_close = -1;           ///< <tool|>
  std::int32_t tool_call_open = -1;       ///< <|tool_call>
  std::int32_t tool_call_close = -1;      ///< <tool_call|>
  std::int32_t tool_response_open = -1;   ///< <|tool_response>
  std::int32_t tool_response_close = -1;  ///< <tool_response|>
  std::int32_t quote = -1;                ///< <|"|>
  std::int32_t boi = -1;                  ///< <|image>
  std::int32_t image = -1;                ///< <|image|>, replaced by one soft token
  std::int32_t eoi = -1;                  ///< <image|>
  std::int32_t boa = -1;                  ///< <|audio>
  std::int32_t audio = -1;                ///< <|audio|>, replaced by one soft token
  std::int32_t eoa = -1;                  ///< <audio|>
  std::int32_t video = -1;                ///< <|video|>, replaced by one soft token

  std::vector<std::int32_t> stop;        ///< any of these ends an answer; ascending, never empty
  std::vector<std::int32_t> suppressed;  ///< never generated; ascending, disjoint from stop

  friend bool operator==(const SpecialTokens&, const SpecialTokens&) = default;
};

}  // namespace preflight::model
