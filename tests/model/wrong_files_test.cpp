// Files that are wrong in one way each: the complaint names the thing, what was found and what was
// expected, and nothing else happens.

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/model/model_file.h"
#include "tests/model/file_surgery.h"

namespace preflight::model {
namespace {

using nlohmann::json;
using surgery::kGolden;
using surgery::put;
using surgery::replace;
using surgery::set_key;

/// The sentence of a refusal; every one of `parts` must be in it.
void expect_refused(const std::filesystem::path& model, const std::vector<std::string>& parts,
                    ErrorCode code = ErrorCode::kInvalidInput,
                    const std::filesystem::path& mmproj = {}) {
  const auto file = ModelFile::open(model, mmproj);
  ASSERT_FALSE(file.has_value()) << "accepted, expected a complaint about " << parts.front();
  surgery::expect_parts(file.error(), code, parts);
}

void expect_gguf_refused(const std::function<void(std::string&)>& damage,
                         const std::vector<std::string>& parts,
                         ErrorCode code = ErrorCode::kInvalidInput) {
  const surgery::ScratchDirectory scratch;
  std::string bytes = surgery::read_bytes(kGolden / "gguf/tiny-Q4_0.gguf");
  damage(bytes);
  surgery::write_bytes(scratch / "model.gguf", bytes);
  std::vector<std::string> all = parts;
  all.emplace_back("model.gguf");
  expect_refused(scratch / "model.gguf", all, code);
}

void expect_checkpoint_refused(const surgery::JsonEdit& config, const surgery::TensorEdit& tensors,
                               const std::vector<std::string>& parts,
                               ErrorCode code = ErrorCode::kInvalidInput) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", config, tensors);
  expect_refused(scratch / "m", parts, code);
}

/// Where the entry of a tensor has its number of dimensions.
std::size_t dims_of(const std::string& gguf, std::string_view tensor) {
  return surgery::place_of(gguf, tensor) + tensor.size();
}

TEST(WrongGguf, IsNoModelAtAll) {
  expect_gguf_refused([](std::string& b) { b[0] = 'X'; }, {"no GGUF file"});
  expect_gguf_refused([](std::string& b) { b.resize(3); }, {"no GGUF file"});
  expect_gguf_refused([](std::string& b) { b.clear(); }, {"empty"});
  expect_gguf_refused([](std::string& b) { put(b, 4, 1u); }, {"version 1", "expected 3"},
                      ErrorCode::kUnsupported);
  expect_gguf_refused([](std::string& b) { put(b, 4, 0x03000000u); }, {"big-endian"},
                      ErrorCode::kUnsupported);
  expect_refused(kGolden / "gguf/absent.gguf", {"absent.gguf", "cannot be opened"},
                 ErrorCode::kNotFound);
  expect_refused("/dev/null", {"/dev/null", "no regular file"});
}

TEST(WrongGguf, IsAnotherKindOfModel) {
  expect_gguf_refused([](std::string& b) { replace(b, "gemma4", "gemma3"); },
                      {"general.architecture", "\"gemma3\"", "expected \"gemma4\""},
                      ErrorCode::kUnsupported);
  expect_refused(kGolden / "gguf/mmproj-tiny-bf16.gguf",
                 {"general.architecture", "\"clip\"", "beside its language model"},
                 ErrorCode::kUnsupported);
  expect_refused(kGolden / "gguf/tiny-Q4_0.gguf", {"\"gemma4\"", "expected \"clip\""},
                 ErrorCode::kUnsupported, kGolden / "gguf/tiny-Q8_0.gguf");
  expect_gguf_refused(
      [](std::string& b) { set_key(b, "gemma4.embedding_length_per_layer_input", 256u); },
      {"embedding_length_per_layer_input", "256", "per-layer embeddings"}, ErrorCode::kUnsupported);
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.attention.shared_kv_layers", 2u); },
                      {"shared_kv_layers", "KV sharing"}, ErrorCode::kUnsupported);
}

TEST(WrongGguf, CountsMoreThanItHolds) {
  expect_gguf_refused([](std::string& b) { put(b, 8, ~std::uint64_t{0}); },
                      {"18446744073709551615 tensors"});
  expect_gguf_refused([](std::string& b) { put(b, 16, std::uint64_t{1} << 40); },
                      {"1099511627776 metadata values"});
  expect_gguf_refused(
      [](std::string& b) {
        put(b, surgery::place_of(b, "tokenizer.ggml.tokens") + 21 + 8, std::uint64_t{1} << 60);
      },
      {"tokenizer.ggml.tokens", "does not fit"});
  expect_gguf_refused([](std::string& b) { b.resize(b.size() - 40); },
                      {"does not fit", "bytes of tensor data"});
  expect_gguf_refused([](std::string& b) { b.resize(6000); },
                      {"tokenizer.ggml.tokens", "does not fit"});
}

TEST(WrongGguf, HasABadTensorTable) {
  expect_gguf_refused([](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight"), 5u); },
                      {"blk.2.attn_q.weight", "5 dimensions", "1 to 4"});
  expect_gguf_refused([](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight") + 20, 16u); },
                      {"blk.2.attn_q.weight", "IQ2_XXS (16)"}, ErrorCode::kUnsupported);
  expect_gguf_refused([](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight") + 20, 77u); },
                      {"blk.2.attn_q.weight", "number 77"}, ErrorCode::kUnsupported);
  expect_gguf_refused(
      [](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight") + 24, std::uint64_t{33}); },
      {"blk.2.attn_q.weight", "offset 33", "multiple of 32"});
  expect_gguf_refused(
      [](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight") + 24, std::uint64_t{0}); },
      {"overlap"});
  expect_gguf_refused(
      [](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight") + 4, std::uint64_t{250}); },
      {"blk.2.attn_q.weight", "rows of 250 values", "multiple of 32 for Q4_0"});
  expect_gguf_refused(
      [](std::string& b) { put(b, dims_of(b, "blk.2.attn_q.weight") + 12, ~std::uint64_t{0} / 8); },
      {"blk.2.attn_q.weight", "does not fit"});
  expect_gguf_refused(
      [](std::string& b) { replace(b, "blk.3.attn_q.weight", "blk.2.attn_q.weight"); },
      {"\"blk.2.attn_q.weight\"", "twice"});
}

TEST(WrongGguf, DoesNotMatchItsMetadata) {
  expect_gguf_refused(
      [](std::string& b) { replace(b, "gemma4.block_count", "gemma4.block_coint"); },
      {"gemma4.block_count", "is missing"});
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.block_count", 7u); },
                      {"has 6 entries", "7 layers"});
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.block_count", 0xffffffffu); },
                      {"gemma4.block_count", "4294967295", "1 to 1024"});
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.embedding_length", 512u); },
                      {"\"token_embd.weight\"", "Q6_K [256, 1056]", "expected [512, 1056]"});
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.attention.head_count", 3u); },
                      {"3 query heads", "2 KV heads"});
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.feed_forward_length", 128u); },
                      {"blk.0.ffn_gate.weight", "expected [256, 128]"});
  expect_gguf_refused(
      [](std::string& b) { set_key(b, "gemma4.attention.layer_norm_rms_epsilon", 0.0f); },
      {"epsilon", "0"});
  expect_gguf_refused([](std::string& b) { set_key(b, "gemma4.rope.freq_base", -1.0f); },
                      {"rope.freq_base", "-1"});
  expect_gguf_refused(
      [](std::string& b) { replace(b, "blk.3.attn_q.weight", "blk.3.attn_Q.weight"); },
      {"\"blk.3.attn_q.weight\" is missing"});
  expect_gguf_refused([](std::string& b) { set_key(b, "tokenizer.ggml.bos_token_id", 5000u); },
                      {"<bos>", "5000", "0 to 1055"});
  expect_gguf_refused([](std::string& b) { set_key(b, "tokenizer.ggml.bos_token_id", 4u); },
                      {"<bos> is 4", "vocabulary has it at 3"});
}

TEST(WrongGguf, HasABadVocabulary) {
  const surgery::ScratchDirectory scratch;
  std::string bytes = surgery::read_bytes(kGolden / "gguf/tiny-Q4_0.gguf");
  replace(bytes, "tokenizer.ggml.merges", "tokenizer.ggml.mergen");
  surgery::write_bytes(scratch / "model.gguf", bytes);
  const auto file = ModelFile::open(scratch / "model.gguf", {});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const auto data = file->tokenizer_data();
  ASSERT_FALSE(data.has_value());
  EXPECT_NE(data.error().message.find("tokenizer.ggml.merges: is missing"), std::string::npos)
      << data.error().message;
}

TEST(WrongMmproj, IsRefused) {
  const surgery::ScratchDirectory scratch;
  const auto damaged = [&](const std::function<void(std::string&)>& damage) {
    std::string bytes = surgery::read_bytes(kGolden / "gguf/mmproj-tiny-bf16.gguf");
    damage(bytes);
    surgery::write_bytes(scratch / "mmproj.gguf", bytes);
    return scratch / "mmproj.gguf";
  };
  const std::filesystem::path model = kGolden / "gguf/tiny-Q4_0.gguf";
  expect_refused(model, {"clip.vision.projector_type", "\"gemma4vv\"", "expected \"gemma4uv\""},
                 ErrorCode::kUnsupported,
                 damaged([](std::string& b) { replace(b, "gemma4uv", "gemma4vv"); }));
  expect_refused(model, {"clip.vision.patch_size", "14", "expected 48"}, ErrorCode::kUnsupported,
                 damaged([](std::string& b) { set_key(b, "clip.vision.patch_size", 14u); }));
  expect_refused(
      model, {"v.patch_norm.2.bias", "missing"}, ErrorCode::kInvalidInput,
      damaged([](std::string& b) { replace(b, "v.patch_norm.2.bias", "v.patch_norm.4.bias"); }));
  expect_refused(kGolden / "models/tiny", {"mmproj-tiny", "of its own"}, ErrorCode::kInvalidInput,
                 kGolden / "gguf/mmproj-tiny-bf16.gguf");
  // A model of another width than the part was made for.
  expect_refused(kGolden / "models/wide",
                 {"mm.input_projection.weight", "[64, 256]", "expected [64, 64]"},
                 ErrorCode::kInvalidInput, kGolden / "gguf/mmproj-tiny-bf16.gguf");
}

TEST(WrongCheckpoint, IsAnotherKindOfModel) {
  expect_checkpoint_refused([](json& c) { c["model_type"] = "gemma3"; }, {},
                            {"config.json", "model_type", "gemma3"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused([](json& c) { c["architectures"][0] = "GemmaForCausalLM"; }, {},
                            {"architectures", "GemmaForCausalLM"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused([](json& c) { c["text_config"]["hidden_size_per_layer_input"] = 256; },
                            {}, {"text_config.hidden_size_per_layer_input", "256"},
                            ErrorCode::kUnsupported);
  expect_checkpoint_refused([](json& c) { c["text_config"]["num_kv_shared_layers"] = 1; }, {},
                            {"num_kv_shared_layers"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused([](json& c) { c["text_config"]["enable_moe_block"] = true; }, {},
                            {"enable_moe_block"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused(
      [](json& c) { c["text_config"]["use_bidirectional_attention"] = "all"; }, {},
      {"use_bidirectional_attention", "\"all\""}, ErrorCode::kUnsupported);
  expect_checkpoint_refused([](json& c) { c["text_config"]["hidden_activation"] = "silu"; }, {},
                            {"hidden_activation", "silu", "gelu_pytorch_tanh"},
                            ErrorCode::kUnsupported);
  expect_checkpoint_refused(
      [](json& c) { c["text_config"]["rope_parameters"]["full_attention"]["rope_type"] = "yarn"; },
      {}, {"rope_parameters.full_attention.rope_type", "yarn"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused(
      {},
      [](surgery::Safetensors& t) {
        for (auto& [name, entry] : t.header.items())
          if (name == "model.language_model.norm.weight") {
            entry["dtype"] = "F8_E4M3";
            entry["shape"] = {128};
          }
      },
      {"model.language_model.norm.weight", "F8_E4M3", "expected BF16, F16 or F32"},
      ErrorCode::kUnsupported);
}

TEST(WrongCheckpoint, LeavesOutOrContradicts) {
  for (const char* key : {"hidden_size", "num_attention_heads", "head_dim", "num_key_value_heads",
                          "intermediate_size", "vocab_size", "sliding_window", "rms_norm_eps",
                          "layer_types", "rope_parameters", "attention_k_eq_v", "hidden_activation",
                          "max_position_embeddings", "num_hidden_layers"})
    expect_checkpoint_refused([key](json& c) { c["text_config"].erase(key); }, {},
                              {std::string("text_config.") + key, "is missing"});
  expect_checkpoint_refused([](json& c) { c["text_config"]["hidden_size"] = "64"; }, {},
                            {"text_config.hidden_size", "expected an integer"});
  expect_checkpoint_refused([](json& c) { c["text_config"]["hidden_size"] = -64; }, {},
                            {"text_config.hidden_size", "-64"});
  expect_checkpoint_refused(
      [](json& c) { c["text_config"]["layer_types"].push_back("full_attention"); }, {},
      {"layer_types", "3 entries", "expected 2"});
  expect_checkpoint_refused(
      [](json& c) { c["text_config"]["head_dim"] = 128; }, {},
      {"layers.0.self_attn.q_proj.weight", "[2048, 64]", "expected [1024, 64]"});
  expect_checkpoint_refused([](json& c) { c["text_config"]["tie_word_embeddings"] = false; }, {},
                            {"tie_word_embeddings", "lm_head.weight"});
  expect_checkpoint_refused([](json& c) { c["image_token_id"] = 12; }, {},
                            {"<|image|> is 12", "vocabulary has it at 777"});
  expect_checkpoint_refused([](json& c) { c["text_config"]["eos_token_id"] = 9999; }, {},
                            {"9999", "0 to 1055"});
  expect_checkpoint_refused(
      [](json& c) {
        c["vision_config"] = {{"rms_norm_eps", 1e-6}};
      },
      {}, {"mm.input_projection.weight", "missing"});
  expect_checkpoint_refused(
      [](json& c) {
        c["audio_config"] = {{"rms_norm_eps", 1e-6}};
      },
      [](surgery::Safetensors& t) {
        t.add("model.embed_audio.embedding_projection.weight", {64, 320});
      },
      {"embed_audio.embedding_projection.weight", "frames of 320 samples", "expected 640"},
      ErrorCode::kUnsupported);
}

TEST(WrongCheckpoint, HasBadTensors) {
  using Tensors = surgery::Safetensors;
  const std::string q = "model.language_model.layers.0.self_attn.q_proj.weight";
  expect_checkpoint_refused({}, [&](Tensors& t) { t.header.erase(q); },
                            {"blk.0.attn_q.weight", "is missing"});
  expect_checkpoint_refused({},
                            [&](Tensors& t) {
                              t.header[q]["data_offsets"] = {0, 1};
                            },
                            {q, "1 bytes", "expected 262144"});
  expect_checkpoint_refused({},
                            [&](Tensors& t) {
                              t.header[q]["data_offsets"] = {0, 1ull << 50};
                            },
                            {q, "bytes of tensor data"});
  expect_checkpoint_refused({},
                            [&](Tensors& t) {
                              t.header[q]["shape"] = {1ull << 40, 1ull << 40};
                            },
                            {q});
  expect_checkpoint_refused({}, [&](Tensors& t) { t.header[q]["shape"] = "wide"; }, {q, "shape"});
  expect_checkpoint_refused(
      {}, [&](Tensors& t) { t.header[q]["dtype"] = "Q9"; }, {q, "Q9"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused(
      {},
      [&](Tensors& t) {
        t.add("model.language_model.layers.0.mlp.router.weight", {4, 4});
      },
      {"mlp.router.weight", "no part of the model"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused(
      {}, [&](Tensors& t) { t.add("model.language_model.layers.7.layer_scalar", {1}); },
      {"layers.7.layer_scalar", "no place"}, ErrorCode::kUnsupported);
  expect_checkpoint_refused({}, [&](Tensors& t) { t.add("model.norm.weight", {64}); },
                            {"norm.weight", "twice"});
  expect_checkpoint_refused(
      {}, [&](Tensors& t) { t.add("model.embed_vision.pos_norm.bias", {64}); },
      {"pos_norm.bias", "no place"}, ErrorCode::kUnsupported);
}

TEST(WrongCheckpoint, HasBadFiles) {
  const surgery::ScratchDirectory scratch;
  const auto fresh = [&] {
    std::filesystem::remove_all(scratch / "m");
    surgery::copy_checkpoint("wide", scratch / "m", {});
    return scratch / "m";
  };
  std::filesystem::remove(fresh() / "config.json");
  expect_refused(scratch / "m", {"config.json", "cannot be opened"}, ErrorCode::kNotFound);
  surgery::write_bytes(fresh() / "config.json", "{\"model_type\": ");
  expect_refused(scratch / "m", {"config.json", "no valid JSON at byte"});
  surgery::write_bytes(fresh() / "config.json", "{\"a\": 1, \"a\": 2}");
  expect_refused(scratch / "m", {"config.json", "\"a\" stands twice"});
  surgery::write_bytes(fresh() / "config.json", std::string(100000, '['));
  expect_refused(scratch / "m", {"config.json", "nested deeper"});
  surgery::write_bytes(fresh() / "config.json", "[]");
  expect_refused(scratch / "m", {"config.json", "no object"});
  std::filesystem::remove(fresh() / "tokenizer.json");
  expect_refused(scratch / "m", {"tokenizer.json", "cannot be opened"}, ErrorCode::kNotFound);
  surgery::write_bytes(fresh() / "tokenizer.json", "{}");
  expect_refused(scratch / "m", {"tokenizer.json", "model.type", "BPE"}, ErrorCode::kUnsupported);
  std::filesystem::remove(fresh() / "model.safetensors");
  expect_refused(scratch / "m", {"model.safetensors", "cannot be opened"}, ErrorCode::kNotFound);
  surgery::write_bytes(fresh() / "model.safetensors", "short");
  expect_refused(scratch / "m", {"model.safetensors", "5 bytes"});
  surgery::write_bytes(fresh() / "model.safetensors", std::string(16, '\xff'));
  expect_refused(scratch / "m", {"model.safetensors", "header of 18446744073709551615 bytes"});
}

TEST(WrongIndex, IsRefused) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", {});
  std::filesystem::rename(scratch / "m/model.safetensors", scratch / "m/a.safetensors");
  const auto index = [&](const json& map) {
    surgery::write_bytes(scratch / "m/model.safetensors.index.json",
                         json{{"weight_map", map}}.dump());
  };
  index({{"model.language_model.norm.weight", "../a.safetensors"}});
  expect_refused(scratch / "m", {"index.json", "../a.safetensors", "in this directory"});
  index({{"model.language_model.norm.weight", "b.safetensors"}});
  expect_refused(scratch / "m", {"b.safetensors", "cannot be opened"}, ErrorCode::kNotFound);
  index({{"model.language_model.nrm.weight", "a.safetensors"}});
  expect_refused(scratch / "m", {"a.safetensors", "model.language_model.nrm.weight", "is missing"});
  index(json::object());
  expect_refused(scratch / "m", {"weight_map", "is empty"});
}

}  // namespace
}  // namespace preflight::model
