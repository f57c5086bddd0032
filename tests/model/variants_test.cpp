// Other ways to write the same model down, and sizes that tiny and wide do not have.

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/model/gguf_file.h"
#include "engine/model/gguf_writer.h"
#include "engine/model/model_file.h"
#include "tests/model/file_surgery.h"

namespace preflight::model {
namespace {

using nlohmann::json;
using surgery::kGolden;
using surgery::open_model;

void expect_same_weights(const ModelFile& a, const ModelFile& b, const char* name) {
  const Tensor* left = a.find(name);
  const Tensor* right = b.find(name);
  ASSERT_TRUE(left != nullptr && right != nullptr) << name;
  ASSERT_EQ(left->bytes.size(), right->bytes.size()) << name;
  EXPECT_TRUE(std::equal(left->bytes.begin(), left->bytes.end(), right->bytes.begin())) << name;
}

TEST(Variants, SizesOfFullLayersFromTheTensors) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", [](json& config) {
    config["text_config"].erase("global_head_dim");
    config["text_config"].erase("num_global_key_value_heads");
  });
  EXPECT_EQ(open_model(scratch / "m").config().full, (AttentionShape{512, 1}));
}

TEST(Variants, FlatConfigurationAndTextOnlyNames) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint(
      "wide", scratch / "m",
      [](json& config) {
        json flat = config["text_config"];
        flat["architectures"] = {"Gemma4UnifiedForCausalLM"};
        config = flat;
      },
      [](surgery::Safetensors& tensors) {
        const json header = tensors.header;
        const std::string prefix = "model.language_model.";
        for (const auto& [name, entry] : header.items())
          if (name.starts_with(prefix)) tensors.rename(name, "model." + name.substr(prefix.size()));
      });
  const ModelFile file = open_model(scratch / "m");
  const ModelFile wide = open_model(kGolden / "models/wide");
  EXPECT_EQ(file.config().full_inv_freq, wide.config().full_inv_freq);
  EXPECT_EQ(file.special_tokens(), wide.special_tokens());
  expect_same_weights(file, wide, "blk.1.attn_output.weight");
}

TEST(Variants, ModuleNamesOfTheLibrary) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("tiny", scratch / "m", {}, [](surgery::Safetensors& tensors) {
    for (const char* part : {"patch_ln1.weight", "patch_ln1.bias", "patch_dense.weight",
                             "patch_dense.bias", "pos_embedding"})
      tensors.rename(std::string("model.vision_embedder.") + part,
                     std::string("model.embed_vision.") + part);
    tensors.rename("model.embed_vision.embedding_projection.weight",
                   "model.embed_vision.multimodal_embedder.embedding_projection.weight");
  });
  const ModelFile file = open_model(scratch / "m");
  EXPECT_EQ(file.config().vision_embed_dim, 64u);
  expect_same_weights(file, open_model(kGolden / "models/tiny"), "mm.input_projection.weight");
}

TEST(Variants, OptionalPartsOfTheModel) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint(
      "wide", scratch / "m",
      [](json& config) {
        json& text = config["text_config"];
        text["final_logit_softcapping"] = nullptr;
        text["use_bidirectional_attention"] = nullptr;
        text["tie_word_embeddings"] = false;
        text["sliding_window"] = 37;
        text["rope_parameters"]["full_attention"]["partial_rotary_factor"] = 0.5;
        text["rope_parameters"]["full_attention"]["factor"] = 8.0;
      },
      [](surgery::Safetensors& tensors) {
        tensors.header.erase("model.language_model.layers.0.layer_scalar");
        tensors.add("lm_head.weight", {1056, 64});
      });
  const ModelFile file = open_model(scratch / "m");
  EXPECT_FALSE(file.config().logit_softcap.has_value());
  EXPECT_FALSE(file.config().vision_bidirectional);
  EXPECT_EQ(file.config().sliding_window, 37u);
  EXPECT_EQ(file.find("blk.0.layer_output_scale.weight"), nullptr);
  EXPECT_NE(file.find("blk.1.layer_output_scale.weight"), nullptr);
  ASSERT_NE(file.find("output.weight"), nullptr);
  EXPECT_EQ(file.find("output.weight")->rows, 1056u);
  EXPECT_EQ(file.config().full_inv_freq[0], 0.125f);
  EXPECT_GT(file.config().full_inv_freq[127], 0.0f);
  EXPECT_EQ(file.config().full_inv_freq[128], 0.0f);
}

TEST(Variants, FullLayersWithValuesOfTheirOwn) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint(
      "wide", scratch / "m",
      [](json& config) { config["text_config"]["attention_k_eq_v"] = false; },
      [](surgery::Safetensors& tensors) {
        const std::string layer = "model.language_model.layers.1.self_attn.";
        tensors.header.erase(layer + "k_proj.weight");
        tensors.add(layer + "k_proj.weight", {4 * 512, 64});
        tensors.add(layer + "v_proj.weight", {4 * 512, 64});
      });
  const ModelFile file = open_model(scratch / "m");
  EXPECT_FALSE(file.config().full_value_is_key);
  EXPECT_EQ(file.config().full, (AttentionShape{512, 4}));
  EXPECT_NE(file.find("blk.1.attn_v.weight"), nullptr);
}

TEST(Variants, LastLayerIsFullWhateverTheListSays) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", [](json& config) {
    config["text_config"]["layer_types"] = {"sliding_attention", "sliding_attention"};
  });
  EXPECT_EQ(open_model(scratch / "m").config().layer_kinds,
            (std::vector<LayerKind>{LayerKind::kSliding, LayerKind::kFull}));
}

TEST(Variants, StopAndSuppressedIds) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", {});
  surgery::write_bytes(scratch / "m/generation_config.json",
                       R"({"eos_token_id": 77, "suppress_tokens": [50, 51]})");
  const SpecialTokens tokens = open_model(scratch / "m").special_tokens();
  // The three that always end an answer stay beside what the file says.
  EXPECT_EQ(tokens.stop, (std::vector<std::int32_t>{11, 77, 305, 421}));
  for (const std::int32_t id : {50, 51, 777, 640})
    EXPECT_TRUE(std::binary_search(tokens.suppressed.begin(), tokens.suppressed.end(), id)) << id;
  std::filesystem::remove(scratch / "m/generation_config.json");
  EXPECT_EQ(open_model(scratch / "m").special_tokens().stop,
            (std::vector<std::int32_t>{11, 305, 421}));
}

TEST(Variants, Shards) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("wide", scratch / "m", {});
  const auto whole = surgery::Safetensors::read(scratch / "m/model.safetensors");
  surgery::Safetensors parts[2] = {whole, whole};
  json map;
  for (const auto& [name, entry] : whole.header.items()) {
    if (name == "__metadata__") continue;
    const bool second = name.find("layers.1") != std::string::npos;
    parts[second ? 0 : 1].header.erase(name);
    map[name] = second ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
  }
  parts[0].write(scratch / "m/model-00001-of-00002.safetensors");
  parts[1].write(scratch / "m/model-00002-of-00002.safetensors");
  surgery::write_bytes(scratch / "m/model.safetensors.index.json",
                       json{{"metadata", {{"total_size", 1}}}, {"weight_map", map}}.dump());
  std::filesystem::remove(scratch / "m/model.safetensors");
  const ModelFile file = open_model(scratch / "m");
  const ModelFile wide = open_model(kGolden / "models/wide");
  for (const char* name : {"token_embd.weight", "blk.0.attn_v.weight", "blk.1.ffn_down.weight"})
    expect_same_weights(file, wide, name);
}

/// Splits a golden GGUF into a first part of metadata alone and two parts of tensors.
void split(const std::filesystem::path& directory, std::string_view prefix,
           std::uint32_t n_tensors_said) {
  const auto file = GgufFile::open(kGolden / "gguf/tiny-Q4_K_M.gguf");
  ASSERT_TRUE(file.has_value());
  const auto path = [&](int part) {
    return directory / fmt::format("{}-{:05}-of-00003.gguf", prefix, part);
  };
  GgufWriter keys;
  keys.add_uint("split.no", 0);
  keys.add_uint("split.count", 3);
  keys.add_uint("split.tensors.count", n_tensors_said);
  ASSERT_TRUE(keys.write(path(1), 1).has_value());
  const std::string added = surgery::read_bytes(path(1)).substr(24, 3 * 12 + 8 + 11 + 19 + 3 * 4);
  const std::string whole = surgery::read_bytes(kGolden / "gguf/tiny-Q4_K_M.gguf");
  const std::size_t table = surgery::place_of(whole, file->tensors().front().name) - 8;
  // The first name may occur in no key, so the first place is the table's.
  std::string first = whole.substr(0, table) + added;
  surgery::put(first, 8, std::uint64_t{0});
  std::uint64_t n_values = 0;
  std::memcpy(&n_values, whole.data() + 16, sizeof(n_values));
  surgery::put(first, 16, n_values + 3);
  first.resize((first.size() + 31) / 32 * 32, '\0');
  surgery::write_bytes(path(1), first);
  for (std::uint32_t part = 1; part < 3; ++part) {
    GgufWriter writer;
    writer.add_uint("split.no", part);
    writer.add_uint("split.count", 3);
    writer.add_uint("split.tensors.count", n_tensors_said);
    for (std::size_t i = part - 1; i < file->tensors().size(); i += 2) {
      const GgufTensor& tensor = file->tensors()[i];
      ASSERT_TRUE(writer
                      .add_tensor(std::string(tensor.name), tensor.type,
                                  {tensor.ne[0], tensor.ne[1]},
                                  [&tensor](std::uint64_t first_block, std::span<std::byte> out) {
                                    ASSERT_EQ(first_block, 0u);
                                    std::copy_n(tensor.bytes.begin(), out.size(), out.begin());
                                  })
                      .has_value());
    }
    ASSERT_TRUE(writer.write(path(static_cast<int>(part) + 1), 1).has_value());
  }
}

TEST(Variants, SplitGguf) {
  const surgery::ScratchDirectory scratch;
  const auto whole = GgufFile::open(kGolden / "gguf/tiny-Q4_K_M.gguf");
  const auto n_tensors = static_cast<std::uint32_t>(whole->tensors().size());
  split(scratch.path(), "m", n_tensors);
  const ModelFile file = open_model(scratch / "m-00001-of-00003.gguf");
  const ModelFile one = open_model(kGolden / "gguf/tiny-Q4_K_M.gguf");
  for (const char* name : {"token_embd.weight", "blk.0.attn_v.weight", "blk.5.ffn_down.weight"})
    expect_same_weights(file, one, name);

  const auto second = ModelFile::open(scratch / "m-00002-of-00003.gguf", {});
  ASSERT_FALSE(second.has_value());
  EXPECT_NE(second.error().message.find("part 2 of 3"), std::string::npos)
      << second.error().message;

  split(scratch.path(), "n", n_tensors + 1);
  const auto short_count = ModelFile::open(scratch / "n-00001-of-00003.gguf", {});
  ASSERT_FALSE(short_count.has_value());
  EXPECT_NE(short_count.error().message.find("split.tensors.count"), std::string::npos);

  std::filesystem::remove(scratch / "m-00003-of-00003.gguf");
  const auto missing = ModelFile::open(scratch / "m-00001-of-00003.gguf", {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("m-00003-of-00003.gguf"), std::string::npos);

  std::filesystem::rename(scratch / "n-00001-of-00003.gguf", scratch / "first.gguf");
  const auto renamed = ModelFile::open(scratch / "first.gguf", {});
  ASSERT_FALSE(renamed.has_value());
  EXPECT_NE(renamed.error().message.find("must end in -00001-of-00003.gguf"), std::string::npos);
}

}  // namespace
}  // namespace preflight::model
