#include "engine/model/make_model.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "engine/model/blocks.h"
#include "engine/model/demo_vocabulary.h"
#include "engine/model/gguf_writer.h"
#include "engine/model/model_config.h"
#include "engine/model/random_weights.h"
#include "engine/model/tensor_maker.h"

namespace preflight::model {
namespace {

struct Sizes {
  std::string_view name;
  std::string_view architecture;
  std::uint32_t model_dim, ffn_dim, n_heads, sliding_head, sliding_kv, full_head, full_kv;
  std::uint32_t window, context, vocab_size, n_layers;
  std::uint32_t vision_dim, vision_positions, audio_frame;
};

constexpr Sizes kDemoSizes = {"demo", "gemma4", 256,   1024, 4, 64,  2,    128,
                              1,      512,      32768, 4096, 6, 256, 1120, 640};
constexpr Sizes k12bSizes = {"12b", "gemma4", 3840,   15360,  16, 256,  8,    512,
                             1,     1024,     262144, 262144, 48, 3840, 1120, 640};

constexpr std::uint32_t kFewestLayers = 2;
constexpr std::uint32_t kMostLayers = 48;
constexpr float kEpsilon = 1e-6f;

/// What the drafter of a model has of its own; all else is the model's.
struct DrafterSizes {
  std::uint32_t model_dim, ffn_dim, n_layers;
};
constexpr DrafterSizes kDemoDrafter = {256, 512, 4};
constexpr DrafterSizes k12bDrafter = {1024, 8192, 4};

const Sizes& sizes_of(MadeShape shape) {
  return shape == MadeShape::kDemo ? kDemoSizes : k12bSizes;
}

/// general.file_type, a label for people.
std::uint32_t file_type_label(TensorType type) {
  switch (type) {
    case TensorType::kF32:
      return 0;
    case TensorType::kF16:
      return 1;
    case TensorType::kQ4_0:
      return 2;
    case TensorType::kQ4_1:
      return 3;
    case TensorType::kQ8_0:
      return 7;
    case TensorType::kQ5_0:
      return 8;
    case TensorType::kQ5_1:
      return 9;
    case TensorType::kQ2_K:
      return 10;
    case TensorType::kQ3_K:
      return 12;
    case TensorType::kQ4_K:
      return 15;
    case TensorType::kQ5_K:
      return 17;
    case TensorType::kQ6_K:
      return 18;
    case TensorType::kIQ4_NL:
      return 25;
    case TensorType::kIQ4_XS:
      return 30;
    case TensorType::kBF16:
      return 32;
  }
  return 0;
}

/// Five sliding layers and one full one, over and over; the last is full in any case.
bool is_sliding(std::uint32_t layer, std::uint32_t n_layers) {
  return layer % 6 != 5 && layer + 1 != n_layers;
}

void add_general(GgufWriter& writer, const Sizes& sizes, const MakeModelOptions& options,
                 std::string_view architecture, std::string_view type) {
  writer.add_text("general.architecture", architecture);
  writer.add_text("general.type", type);
  writer.add_text("general.name",
                  fmt::format("preflight {} (random weights, seed {})", sizes.name, options.seed));
  writer.add_uint("general.file_type", file_type_label(options.type));
  writer.add_uint("general.quantization_version", 2);
}

void add_language_keys(GgufWriter& writer, const Sizes& sizes, std::uint32_t n_layers) {
  std::vector<std::int32_t> kv_heads;
  std::vector<bool> pattern;
  for (std::uint32_t layer = 0; layer < n_layers; ++layer) {
    pattern.push_back(is_sliding(layer, n_layers));
    kv_heads.push_back(
        static_cast<std::int32_t>(pattern.back() ? sizes.sliding_kv : sizes.full_kv));
  }
  const auto key = [&sizes](std::string_view name) {
    return fmt::format("{}.{}", sizes.architecture, name);
  };
  writer.add_uint(key("block_count"), n_layers);
  writer.add_uint(key("context_length"), sizes.context);
  writer.add_uint(key("embedding_length"), sizes.model_dim);
  writer.add_uint(key("feed_forward_length"), sizes.ffn_dim);
  writer.add_uint(key("attention.head_count"), sizes.n_heads);
  writer.add_ints(key("attention.head_count_kv"), kv_heads);
  writer.add_uint(key("attention.key_length"), sizes.full_head);
  writer.add_uint(key("attention.value_length"), sizes.full_head);
  writer.add_uint(key("attention.key_length_swa"), sizes.sliding_head);
  writer.add_uint(key("attention.value_length_swa"), sizes.sliding_head);
  writer.add_uint(key("attention.sliding_window"), sizes.window);
  writer.add_bools(key("attention.sliding_window_pattern"), pattern);
  writer.add_float(key("attention.layer_norm_rms_epsilon"), kEpsilon);
  writer.add_uint(key("embedding_length_per_layer_input"), 0);
  writer.add_float(key("rope.freq_base"), 1e6f);
  writer.add_float(key("rope.freq_base_swa"), 1e4f);
  writer.add_uint(key("rope.dimension_count"), sizes.full_head);
  writer.add_uint(key("rope.dimension_count_swa"), sizes.sliding_head);
}

std::int32_t id_of(const DemoVocabulary& vocabulary, std::string_view token) {
  const auto it = std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), token);
  PREFLIGHT_ASSERT(it != vocabulary.tokens.end());
  return static_cast<std::int32_t>(it - vocabulary.tokens.begin());
}

void add_tokenizer_keys(GgufWriter& writer, const DemoVocabulary& vocabulary) {
  const auto add_id = [&](std::string_view name, std::string_view token) {
    writer.add_uint(fmt::format("tokenizer.ggml.{}_token_id", name),
                    static_cast<std::uint32_t>(id_of(vocabulary, token)));
  };
  // Longer pieces come later and score lower; special tokens are never merged into.
  std::vector<float> scores;
  scores.reserve(vocabulary.tokens.size());
  for (std::size_t id = 0; id < vocabulary.tokens.size(); ++id)
    scores.push_back(vocabulary.types[id] == 1 ? -static_cast<float>(id) : -1000.0f);
  writer.add_text("tokenizer.ggml.model", "gemma4");
  writer.add_texts("tokenizer.ggml.tokens", vocabulary.tokens);
  writer.add_floats("tokenizer.ggml.scores", scores);
  writer.add_ints("tokenizer.ggml.token_type", vocabulary.types);
  writer.add_texts("tokenizer.ggml.merges", vocabulary.merges);
  add_id("bos", "<bos>");
  add_id("eos", "<eos>");
  add_id("eot", "<turn|>");
  add_id("unknown", "<unk>");
  add_id("padding", "<pad>");
  add_id("mask", "<mask>");
  writer.add_bool("tokenizer.ggml.add_bos_token", true);
  writer.add_bool("tokenizer.ggml.add_space_prefix", false);
}

void add_suppressed(GgufWriter& writer, const DemoVocabulary& vocabulary) {
  const std::int32_t suppressed[] = {id_of(vocabulary, "<audio|>"), id_of(vocabulary, "<image|>")};
  writer.add_ints("tokenizer.ggml.suppress_tokens", suppressed);
}

/// `own_kv`: with keys and values, which a drafter takes from its model.
Result<void> add_layer(TensorMaker& make, const Sizes& sizes, TensorType type, std::uint32_t layer,
                       bool sliding, bool own_kv) {
  const std::uint64_t dim = sizes.model_dim;
  const std::uint64_t head = sliding ? sizes.sliding_head : sizes.full_head;
  const std::uint64_t q_dim = head * sizes.n_heads;
  const std::uint64_t kv_dim = head * (sliding ? sizes.sliding_kv : sizes.full_kv);
  const auto name = [layer](std::string_view part) {
    return fmt::format("blk.{}.{}.weight", layer, part);
  };
  for (const std::string_view norm :
       {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"})
    PREFLIGHT_TRY_VOID(make.values(name(norm), {dim}, 1.0f, 0.05f));
  // Scores are unscaled dot products over the head: a key norm of 2 / sqrt(head) gives them
  // deviation 2.
  const float key_norm = 2.0f / std::sqrt(static_cast<float>(head));
  PREFLIGHT_TRY_VOID(make.values(name("attn_q_norm"), {head}, 1.0f, 0.05f));
  if (own_kv)
    PREFLIGHT_TRY_VOID(make.values(name("attn_k_norm"), {head}, key_norm, 0.05f * key_norm));
  PREFLIGHT_TRY_VOID(make.matrix(name("attn_q"), type, dim, q_dim));
  if (own_kv) PREFLIGHT_TRY_VOID(make.matrix(name("attn_k"), type, dim, kv_dim));
  if (own_kv && sliding) PREFLIGHT_TRY_VOID(make.matrix(name("attn_v"), type, dim, kv_dim));
  PREFLIGHT_TRY_VOID(make.matrix(name("attn_output"), type, q_dim, dim));
  PREFLIGHT_TRY_VOID(make.matrix(name("ffn_gate"), type, dim, sizes.ffn_dim));
  PREFLIGHT_TRY_VOID(make.matrix(name("ffn_up"), type, dim, sizes.ffn_dim));
  PREFLIGHT_TRY_VOID(make.matrix(name("ffn_down"), type, sizes.ffn_dim, dim));
  return make.exact(name("layer_output_scale"), {1.0f});
}

/// A quarter of the pairs of full layers turn; the divisors of the others make their angles vanish.
std::vector<float> full_divisors(const Sizes& sizes) {
  std::vector<float> divisors(sizes.full_head / 2, 1e30f);
  std::fill_n(divisors.begin(), divisors.size() / 4, 1.0f);
  return divisors;
}

Result<void> describe_language_model(GgufWriter& writer, const Sizes& sizes,
                                     const MakeModelOptions& options) {
  const std::uint32_t n_layers = options.n_layers.value_or(sizes.n_layers);
  if (n_layers < kFewestLayers || n_layers > kMostLayers)
    return fail(ErrorCode::kInvalidInput, fmt::format("a model of {} layers, expected {} to {}",
                                                      n_layers, kFewestLayers, kMostLayers));
  PREFLIGHT_TRY(const DemoVocabulary vocabulary,
                make_demo_vocabulary(options.vocab_size.value_or(sizes.vocab_size)));
  add_general(writer, sizes, options, sizes.architecture, "model");
  add_language_keys(writer, sizes, n_layers);
  writer.add_uint("gemma4.attention.shared_kv_layers", 0);
  writer.add_float("gemma4.final_logit_softcapping", 30.0f);
  add_tokenizer_keys(writer, vocabulary);
  add_suppressed(writer, vocabulary);

  const TensorType head =
      options.head.value_or(block_values(options.type) > 1 ? TensorType::kQ6_K : options.type);
  TensorMaker make(writer, options.seed);
  PREFLIGHT_TRY_VOID(
      make.matrix("token_embd.weight", head, sizes.model_dim, vocabulary.tokens.size()));
  PREFLIGHT_TRY_VOID(make.values("output_norm.weight", {sizes.model_dim}, 1.0f, 0.05f));
  PREFLIGHT_TRY_VOID(make.exact("rope_freqs.weight", full_divisors(sizes)));
  for (std::uint32_t layer = 0; layer < n_layers; ++layer)
    PREFLIGHT_TRY_VOID(add_layer(make, sizes, options.type, layer, is_sliding(layer, n_layers),
                                 /*own_kv=*/true));
  return {};
}

Result<void> describe_drafter(GgufWriter& writer, const Sizes& target, const DrafterSizes& own,
                              const MakeModelOptions& options) {
  if (options.n_layers && *options.n_layers != own.n_layers)
    return fail(ErrorCode::kInvalidInput, fmt::format("a drafter of {} layers, expected {}",
                                                      *options.n_layers, own.n_layers));
  PREFLIGHT_TRY(const DemoVocabulary vocabulary,
                make_demo_vocabulary(options.vocab_size.value_or(target.vocab_size)));
  Sizes sizes = target;
  sizes.architecture = "gemma4-assistant";
  sizes.model_dim = own.model_dim;
  sizes.ffn_dim = own.ffn_dim;
  add_general(writer, sizes, options, sizes.architecture, "model");
  add_language_keys(writer, sizes, own.n_layers);
  writer.add_uint("gemma4-assistant.attention.shared_kv_layers", own.n_layers);
  writer.add_uint("gemma4-assistant.nextn_predict_layers", own.n_layers);
  writer.add_uint("gemma4-assistant.embedding_length_out", target.model_dim);
  add_tokenizer_keys(writer, vocabulary);

  const std::uint64_t dim = own.model_dim;
  TensorMaker make(writer, random_key(options.seed, 0x647261667465));  // unlike the model's
  PREFLIGHT_TRY_VOID(make.matrix("token_embd.weight", options.head.value_or(options.type), dim,
                                 vocabulary.tokens.size()));
  PREFLIGHT_TRY_VOID(make.values("output_norm.weight", {dim}, 1.0f, 0.05f));
  PREFLIGHT_TRY_VOID(make.exact("rope_freqs.weight", full_divisors(sizes)));
  PREFLIGHT_TRY_VOID(make.matrix("nextn.pre_projection.weight", options.type,
                                 std::uint64_t{2} * target.model_dim, dim));
  PREFLIGHT_TRY_VOID(
      make.matrix("nextn.post_projection.weight", options.type, dim, target.model_dim));
  for (std::uint32_t layer = 0; layer < own.n_layers; ++layer)
    PREFLIGHT_TRY_VOID(add_layer(make, sizes, options.type, layer, is_sliding(layer, own.n_layers),
                                 /*own_kv=*/false));
  return {};
}

Result<void> describe_mmproj(GgufWriter& writer, const Sizes& sizes,
                             const MakeModelOptions& options) {
  add_general(writer, sizes, options, "clip", "mmproj");
  writer.add_bool("clip.has_vision_encoder", true);
  writer.add_bool("clip.has_audio_encoder", true);
  writer.add_text("clip.vision.projector_type", "gemma4uv");
  writer.add_text("clip.audio.projector_type", "gemma4ua");
  writer.add_uint("clip.vision.patch_size", 16);
  writer.add_uint("clip.vision.image_size", 224);
  writer.add_uint("clip.vision.embedding_length", sizes.vision_dim);
  writer.add_uint("clip.audio.embedding_length", sizes.audio_frame);
  for (const std::string_view part : {"vision", "audio"}) {
    const auto key = [part](std::string_view name) {
      return fmt::format("clip.{}.{}", part, name);
    };
    writer.add_uint(key("projection_dim"), sizes.model_dim);
    writer.add_uint(key("feed_forward_length"), 0);
    writer.add_uint(key("block_count"), 0);
    writer.add_uint(key("attention.head_count"), 0);
    writer.add_float(key("attention.layer_norm_epsilon"), kEpsilon);
  }
  writer.add_uint("clip.audio.num_mel_bins", 128);
  writer.add_floats("clip.vision.image_mean", std::vector<float>(3, 0.0f));
  writer.add_floats("clip.vision.image_std", std::vector<float>(3, 1.0f));

  const std::uint64_t width = sizes.vision_dim;
  TensorMaker make(writer,
                   random_key(options.seed, 0x6d6d70726f6a));  // unlike the language model's
  PREFLIGHT_TRY_VOID(make.matrix("v.patch_embd.weight", TensorType::kF32, kPatchValues, width));
  PREFLIGHT_TRY_VOID(make.values("v.patch_embd.bias", {width}, 0.0f, 0.02f));
  PREFLIGHT_TRY_VOID(make.values("v.patch_norm.1.weight", {kPatchValues}, 1.0f, 0.05f));
  PREFLIGHT_TRY_VOID(make.values("v.patch_norm.1.bias", {kPatchValues}, 0.0f, 0.05f));
  for (const std::string_view norm : {"v.patch_norm.2", "v.patch_norm.3"}) {
    PREFLIGHT_TRY_VOID(make.values(fmt::format("{}.weight", norm), {width}, 1.0f, 0.05f));
    PREFLIGHT_TRY_VOID(make.values(fmt::format("{}.bias", norm), {width}, 0.0f, 0.05f));
  }
  PREFLIGHT_TRY_VOID(
      make.values("v.position_embd.weight", {width, sizes.vision_positions, 2}, 0.0f, 0.5f));
  PREFLIGHT_TRY_VOID(
      make.matrix("mm.input_projection.weight", TensorType::kBF16, width, sizes.model_dim));
  return make.matrix("mm.a.input_projection.weight", TensorType::kBF16, sizes.audio_frame,
                     sizes.model_dim);
}

}  // namespace

std::optional<MadeShape> shape_from_name(std::string_view name) {
  if (name == kDemoSizes.name) return MadeShape::kDemo;
  if (name == k12bSizes.name) return MadeShape::k12b;
  return std::nullopt;
}

Result<std::uint64_t> make_model(const MakeModelOptions& options,
                                 const std::filesystem::path& path) {
  const Sizes& sizes = sizes_of(options.shape);
  GgufWriter writer;
  if (options.mmproj) {
    PREFLIGHT_TRY_VOID(describe_mmproj(writer, sizes, options));
  } else if (options.drafter) {
    PREFLIGHT_TRY_VOID(describe_drafter(
        writer, sizes, options.shape == MadeShape::kDemo ? kDemoDrafter : k12bDrafter, options));
  } else {
    PREFLIGHT_TRY_VOID(describe_language_model(writer, sizes, options));
  }
  const unsigned n_threads = options.n_threads != 0
                                 ? options.n_threads
                                 : std::max(std::thread::hardware_concurrency(), 1u);
  PREFLIGHT_TRY_VOID(
      writer.write(path, n_threads, options.sparse ? MatrixData::kZeros : MatrixData::kMade));
  return writer.file_bytes();
}

}  // namespace preflight::model
