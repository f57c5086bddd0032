#include "engine/model/model_file.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/model/blocks.h"
#include "engine/model/checkpoint_files.h"
#include "engine/model/config_reader.h"
#include "engine/model/gguf_parts.h"
#include "engine/model/json_text.h"
#include "engine/model/special_tokens.h"
#include "engine/model/tensor_table.h"
#include "engine/text/tokenizer_json.h"

namespace preflight::model {

struct ModelFile::State {
  std::vector<GgufFile> gguf;  ///< the first holds the metadata; empty for a directory
  std::vector<SafetensorsFile> safetensors;
  std::optional<GgufFile> mmproj;
  std::optional<text::TokenizerData>
      tokenizer;  ///< of a directory; GGUF gives it again from the map
  ModelConfig config;
  SpecialTokens special;
  std::map<std::string, Tensor, std::less<>> tensors;
  std::string digest;
  std::uint64_t file_bytes = 0;
};

namespace {

constexpr std::size_t kMostConfigBytes = 16u << 20;
constexpr std::size_t kMostTokenizerBytes = 512u << 20;

/// Two independent 64-bit running hashes; for identity, not against an attacker.
class Digest {
 public:
  void add(std::span<const std::byte> bytes) {
    add_word(bytes.size());
    for (std::size_t at = 0; at < bytes.size(); at += sizeof(std::uint64_t)) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + at, std::min(sizeof(word), bytes.size() - at));
      add_word(word);
    }
  }
  void add_word(std::uint64_t word) {
    a_ = mix(a_ ^ word, 0x9e3779b97f4a7c15u);
    b_ = mix(b_ + word, 0xd6e8feb86659fd93u);
  }
  std::string hex() const { return fmt::format("{:016x}{:016x}", a_, b_); }

 private:
  static std::uint64_t mix(std::uint64_t value, std::uint64_t factor) {
    value *= factor;
    return value ^ (value >> 29);
  }
  std::uint64_t a_ = 0x243f6a8885a308d3u;
  std::uint64_t b_ = 0x13198a2e03707344u;
};

std::string describe_types(const TensorTable& tensors) {
  std::map<TensorType, std::uint64_t> matrices;
  for (const auto& [name, entry] : tensors.entries())
    if (entry.tensor.rows > 1) ++matrices[entry.tensor.type];
  std::vector<std::string> types;
  types.reserve(matrices.size());
  for (const auto& [type, n] : matrices) types.push_back(fmt::format("{} {}", n, type_name(type)));
  return fmt::format("{}", fmt::join(types, ", "));
}

std::string describe(const ModelConfig& config) {
  const auto n_full =
      std::count(config.layer_kinds.begin(), config.layer_kinds.end(), LayerKind::kFull);
  return fmt::format(
      "{} layers ({} full), {} wide, {} heads, window {}, vocabulary {}, matrices {}{}{}",
      config.n_layers, n_full, config.model_dim, config.n_heads, config.sliding_window,
      config.vocab_size, config.weight_types, config.has_vision() ? ", images" : "",
      config.has_audio() ? ", sound" : "");
}

std::vector<std::string_view> views(const std::vector<std::string>& texts) {
  return {texts.begin(), texts.end()};
}

template <class State>
void add_identity(const State& state, const TensorTable& tensors, std::string& hex,
                  std::uint64_t& file_bytes) {
  Digest digest;
  const auto add_file = [&](const auto& file) {
    digest.add_word(file.bytes().size());
    digest.add(file.header());
    file_bytes += file.bytes().size();
  };
  for (const GgufFile& file : state.gguf) add_file(file);
  for (const SafetensorsFile& file : state.safetensors) add_file(file);
  if (state.mmproj) add_file(*state.mmproj);
  // Two trainings of one model differ in their weights only: a few bytes of each tensor tell.
  constexpr std::size_t kSampleBytes = 64;
  for (const auto& [name, entry] : tensors.entries())
    digest.add(entry.tensor.bytes.first(std::min(kSampleBytes, entry.tensor.bytes.size())));
  hex = digest.hex();
}

/// The image and sound part of a second file, added to a model that has none of its own.
Result<void> add_mmproj(const GgufFile& file, std::string_view model_name, TensorTable& tensors,
                        ModelConfig& config) {
  if (config.has_vision() || config.has_audio())
    return fail(
        ErrorCode::kInvalidInput,
        fmt::format("{}: {} has an image or sound part of its own, a second one has no place",
                    file.name(), model_name));
  PREFLIGHT_TRY_VOID(check_mmproj_type(file));
  PREFLIGHT_TRY(const std::optional<std::uint32_t> parts, file.find_uint("split.count"));
  if (parts.value_or(0) > 1)
    return file.wrong(ErrorCode::kUnsupported, "split.count",
                      fmt::format("is {}, expected the image and sound part in one file", *parts));
  PREFLIGHT_TRY_VOID(tensors.add(file));
  return read_mmproj_config(file, tensors, config);
}

}  // namespace

Result<ModelFile> ModelFile::open(const std::filesystem::path& model,
                                  const std::filesystem::path& mmproj) {
  auto state = std::make_unique<State>();
  TensorTable tensors;
  StatedIds stated;
  std::string where = model.string();
  std::vector<std::string_view> vocabulary;
  if (!mmproj.empty()) {
    PREFLIGHT_TRY(state->mmproj, GgufFile::open(mmproj));
  }
  std::error_code ignored;  // what cannot be examined fails, with its reason, when opened
  if (std::filesystem::is_directory(model, ignored)) {
    const std::string config_name = (model / "config.json").string();
    PREFLIGHT_TRY(const std::string config_text, read_text_file(config_name, kMostConfigBytes));
    PREFLIGHT_TRY(const nlohmann::json document, parse_json_object(config_text, config_name));
    const JsonView root(document, config_name);
    PREFLIGHT_TRY_VOID(check_checkpoint_type(root));
    PREFLIGHT_TRY(state->safetensors, open_checkpoint_files(model));
    for (const SafetensorsFile& file : state->safetensors) PREFLIGHT_TRY_VOID(tensors.add(file));
    PREFLIGHT_TRY(state->config, read_checkpoint_config(root, tensors));
    if (state->config.name.empty()) state->config.name = model.filename().string();

    const std::string tokenizer_name = (model / "tokenizer.json").string();
    PREFLIGHT_TRY(const std::string tokenizer_text,
                  read_text_file(tokenizer_name, kMostTokenizerBytes));
    Result<text::TokenizerData> tokenizer = text::read_tokenizer_json(tokenizer_text);
    if (!tokenizer.has_value())
      return fail(
          tokenizer.error().code,
          // The complaint begins with the name of the file; which one of that name is ours to say.
          fmt::format("{}/{}", model.string(), tokenizer.error().message));
    state->tokenizer = std::move(tokenizer).value();
    vocabulary = views(state->tokenizer->tokens);
    if (vocabulary.size() > state->config.vocab_size)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("{}: has {} tokens, but the model's vocab_size is {}", tokenizer_name,
                              vocabulary.size(), state->config.vocab_size));

    const std::string generation_name = (model / "generation_config.json").string();
    nlohmann::json generation_document;
    std::optional<JsonView> generation;
    if (std::filesystem::exists(generation_name, ignored)) {
      PREFLIGHT_TRY(const std::string text, read_text_file(generation_name, kMostConfigBytes));
      PREFLIGHT_TRY(generation_document, parse_json_object(text, generation_name));
      generation.emplace(generation_document, generation_name);
    }
    PREFLIGHT_TRY(stated, stated_ids(root, generation));
  } else {
    PREFLIGHT_TRY(state->gguf, open_gguf_parts(model));
    const GgufFile& metadata = state->gguf.front();
    PREFLIGHT_TRY_VOID(check_gguf_type(metadata));
    for (const GgufFile& file : state->gguf) PREFLIGHT_TRY_VOID(tensors.add(file));
    PREFLIGHT_TRY(state->config, read_gguf_config(metadata, tensors));
    PREFLIGHT_TRY(vocabulary, metadata.texts("tokenizer.ggml.tokens"));
    PREFLIGHT_TRY(stated, stated_ids(metadata));
  }

  ModelConfig& config = state->config;
  if (state->mmproj) PREFLIGHT_TRY_VOID(add_mmproj(*state->mmproj, where, tensors, config));
  PREFLIGHT_TRY_VOID(check_tensors(config, tensors, where));
  PREFLIGHT_TRY(state->special, find_special_tokens(config, vocabulary, stated, where));
  config.weight_types = describe_types(tensors);
  config.architecture_note = describe(config);
  add_identity(*state, tensors, state->digest, state->file_bytes);
  for (const auto& [name, entry] : tensors.entries()) state->tensors.emplace(name, entry.tensor);
  return ModelFile(std::move(state));
}

ModelFile::ModelFile(std::unique_ptr<const State> state) : state_(std::move(state)) {}
ModelFile::ModelFile(ModelFile&&) noexcept = default;
ModelFile& ModelFile::operator=(ModelFile&&) noexcept = default;
ModelFile::~ModelFile() = default;

const ModelConfig& ModelFile::config() const { return state_->config; }
const SpecialTokens& ModelFile::special_tokens() const { return state_->special; }

Result<text::TokenizerData> ModelFile::tokenizer_data() const {
  if (state_->tokenizer) return *state_->tokenizer;
  return read_gguf_tokenizer(state_->gguf.front());
}

const Tensor* ModelFile::find(std::string_view canonical_name) const {
  const auto it = state_->tensors.find(canonical_name);
  return it == state_->tensors.end() ? nullptr : &it->second;
}

bool ModelFile::vision_is_channel_major() const { return state_->mmproj.has_value(); }
bool ModelFile::positions_are_axis_major() const { return state_->mmproj.has_value(); }
std::string ModelFile::digest() const { return state_->digest; }
std::uint64_t ModelFile::file_bytes() const { return state_->file_bytes; }

}  // namespace preflight::model
