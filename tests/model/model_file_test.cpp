#include "engine/model/model_file.h"

#include <cmath>
#include <filesystem>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/model/blocks.h"
#include "tests/model/file_surgery.h"

namespace preflight::model {
namespace {

using surgery::kGolden;
using surgery::open_model;

std::vector<float> all_values(const Tensor& tensor) {
  std::vector<float> out(tensor.rows * tensor.cols);
  const auto status = read_rows(tensor, 0, tensor.rows, out);
  EXPECT_TRUE(status.has_value()) << status.error().message;
  return out;
}

/// Frequencies as docs/model.md#rope writes them, in double.
double frequency(double theta, std::uint32_t head_dim, std::uint32_t i) {
  return std::pow(theta, -2.0 * i / head_dim);
}

void expect_tiny(const ModelConfig& config) {
  EXPECT_EQ(config.n_layers, 6u);
  EXPECT_EQ(config.model_dim, 256u);
  EXPECT_EQ(config.n_heads, 4u);
  EXPECT_EQ(config.ffn_dim, 256u);
  EXPECT_EQ(config.vocab_size, 1056u);
  EXPECT_EQ(config.sliding_window, 64u);
  EXPECT_EQ(config.context_length, 262144u);
  EXPECT_EQ(config.sliding, (AttentionShape{64, 2}));
  EXPECT_EQ(config.full, (AttentionShape{128, 1}));
  EXPECT_EQ(config.layer_kinds,
            (std::vector<LayerKind>{LayerKind::kSliding, LayerKind::kSliding, LayerKind::kSliding,
                                    LayerKind::kSliding, LayerKind::kSliding, LayerKind::kFull}));
  ASSERT_EQ(config.sliding_inv_freq.size(), 32u);
  ASSERT_EQ(config.full_inv_freq.size(), 64u);
  for (std::uint32_t i = 0; i < 32; ++i)
    EXPECT_NEAR(config.sliding_inv_freq[i] / frequency(1e4, 64, i), 1.0, 2e-7);
  for (std::uint32_t i = 0; i < 64; ++i) {
    if (i < 16) {
      EXPECT_NEAR(config.full_inv_freq[i] / frequency(1e6, 128, i), 1.0, 2e-7);
    } else {
      EXPECT_EQ(config.full_inv_freq[i], 0.0f);
    }
  }
  EXPECT_EQ(config.rms_norm_eps, 1e-6f);
  EXPECT_EQ(config.logit_softcap, 30.0f);
  EXPECT_EQ(config.embedding_scale, 16.0f);
  EXPECT_TRUE(config.full_value_is_key);
  EXPECT_TRUE(config.vision_bidirectional);
}

void expect_tiny_tokens(const SpecialTokens& tokens) {
  EXPECT_EQ(tokens.bos, 3);
  EXPECT_EQ(tokens.pad, 5);
  EXPECT_EQ(tokens.mask, 0);
  EXPECT_EQ(tokens.unk, 9);
  EXPECT_EQ(tokens.eos, 11);
  EXPECT_EQ(tokens.turn_close, 421);
  EXPECT_EQ(tokens.tool_response_open, 305);
  EXPECT_EQ(tokens.image, 777);
  EXPECT_EQ(tokens.boi, 700);
  EXPECT_EQ(tokens.eoi, 640);
  EXPECT_EQ(tokens.audio, 778);
  EXPECT_EQ(tokens.boa, 701);
  EXPECT_EQ(tokens.eoa, 641);
  EXPECT_EQ(tokens.video, 999);
  EXPECT_EQ(tokens.stop, (std::vector<std::int32_t>{11, 305, 421}));
  for (const std::int32_t id : {640, 641, 3, 5, 777, 778, 999})
    EXPECT_TRUE(std::binary_search(tokens.suppressed.begin(), tokens.suppressed.end(), id)) << id;
}

TEST(ModelFile, ReadsTheTinyDirectory) {
  const ModelFile file = open_model(kGolden / "models/tiny");
  expect_tiny(file.config());
  expect_tiny_tokens(file.special_tokens());
  EXPECT_EQ(file.config().vision_embed_dim, 64u);
  EXPECT_EQ(file.config().vision_positions, 288u);
  EXPECT_EQ(file.config().audio_frame, 640u);
  EXPECT_EQ(file.config().vision_rms_norm_eps, 1e-6f);
  EXPECT_FALSE(file.vision_is_channel_major());
  EXPECT_FALSE(file.positions_are_axis_major());
  EXPECT_EQ(file.file_bytes(), 6829212u);
}

TEST(ModelFile, ReadsTheTinyGgufs) {
  for (const char* name : {"tiny-bf16", "tiny-Q8_0", "tiny-Q4_0", "tiny-Q4_K_M"}) {
    SCOPED_TRACE(name);
    const ModelFile file = open_model(kGolden / fmt::format("gguf/{}.gguf", name),
                                      kGolden / "gguf/mmproj-tiny-bf16.gguf");
    expect_tiny(file.config());
    expect_tiny_tokens(file.special_tokens());
    EXPECT_EQ(file.config().vision_embed_dim, 64u);
    EXPECT_EQ(file.config().vision_positions, 288u);
    EXPECT_EQ(file.config().audio_frame, 640u);
    EXPECT_TRUE(file.vision_is_channel_major());
    EXPECT_TRUE(file.positions_are_axis_major());
  }
}

TEST(ModelFile, TextModelsHaveNoMedia) {
  const ModelFile gguf = open_model(kGolden / "gguf/tiny-Q4_0.gguf");
  EXPECT_FALSE(gguf.config().has_vision());
  EXPECT_FALSE(gguf.config().has_audio());
  EXPECT_EQ(gguf.find("v.patch_embd.weight"), nullptr);

  const ModelFile wide = open_model(kGolden / "models/wide");
  const ModelConfig& config = wide.config();
  EXPECT_EQ(config.n_layers, 2u);
  EXPECT_EQ(config.model_dim, 64u);
  EXPECT_EQ(config.sliding, (AttentionShape{256, 4}));
  EXPECT_EQ(config.full, (AttentionShape{512, 1}));
  EXPECT_EQ(config.sliding_window, 1024u);
  // The worked numbers of docs/model.md#rope, which are those of the real head sizes.
  EXPECT_FLOAT_EQ(config.sliding_inv_freq[1], 0.930572041f);
  EXPECT_FLOAT_EQ(config.sliding_inv_freq[127], 1.0746078e-4f);
  EXPECT_FLOAT_EQ(config.full_inv_freq[63], 0.033376247f);
  EXPECT_EQ(config.full_inv_freq[64], 0.0f);
  EXPECT_FALSE(config.has_vision());
  EXPECT_FALSE(config.has_audio());
}

TEST(ModelFile, BothContainersHoldTheSameModel) {
  const ModelFile directory = open_model(kGolden / "models/tiny");
  const ModelFile gguf =
      open_model(kGolden / "gguf/tiny-bf16.gguf", kGolden / "gguf/mmproj-tiny-bf16.gguf");
  EXPECT_EQ(directory.config().sliding_inv_freq, gguf.config().sliding_inv_freq);
  EXPECT_EQ(directory.config().full_inv_freq, gguf.config().full_inv_freq);
  EXPECT_EQ(directory.special_tokens(), gguf.special_tokens());
  std::vector<std::string> names = {"token_embd.weight",          "output_norm.weight",
                                    "mm.input_projection.weight", "mm.a.input_projection.weight",
                                    "v.patch_embd.bias",          "v.patch_norm.2.weight",
                                    "v.patch_norm.3.bias"};
  for (int layer = 0; layer < 6; ++layer)
    for (const char* name :
         {"attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "attn_q_norm", "attn_k_norm",
          "post_attention_norm", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down", "post_ffw_norm",
          "layer_output_scale"})
      if (layer != 5 || std::string_view(name) != "attn_v")
        names.push_back(fmt::format("blk.{}.{}.weight", layer, name));
  for (const std::string& name : names) {
    const Tensor* a = directory.find(name);
    const Tensor* b = gguf.find(name);
    ASSERT_NE(a, nullptr) << name;
    ASSERT_NE(b, nullptr) << name;
    EXPECT_EQ(a->cols, b->cols) << name;
    EXPECT_EQ(a->rows, b->rows) << name;
    EXPECT_EQ(all_values(*a), all_values(*b)) << name;
  }
  EXPECT_EQ(directory.find("output.weight"), nullptr);
  EXPECT_EQ(directory.find("blk.5.attn_v.weight"), nullptr);
}

TEST(ModelFile, ImageWeightsDifferOnlyInTheirOrder) {
  const ModelFile directory = open_model(kGolden / "models/tiny");
  const ModelFile gguf =
      open_model(kGolden / "gguf/tiny-bf16.gguf", kGolden / "gguf/mmproj-tiny-bf16.gguf");
  for (const char* name : {"v.patch_embd.weight", "v.patch_norm.1.weight", "v.patch_norm.1.bias"}) {
    const std::vector<float> rows_first = all_values(*directory.find(name));
    const std::vector<float> channels_first = all_values(*gguf.find(name));
    ASSERT_EQ(rows_first.size(), channels_first.size());
    bool equal = true;
    for (std::size_t i = 0; i < channels_first.size(); ++i) {
      const std::size_t row = i / kPatchValues;
      const std::size_t input = i % kPatchValues;
      const std::size_t channel = input / (kPatchSide * kPatchSide);
      const std::size_t pixel = input % (kPatchSide * kPatchSide);
      equal = equal && channels_first[i] == rows_first[row * kPatchValues + pixel * 3 + channel];
    }
    EXPECT_TRUE(equal) << name;
  }
  const Tensor& by_position = *directory.find("v.position_embd.weight");
  const Tensor& by_axis = *gguf.find("v.position_embd.weight");
  ASSERT_EQ(by_position.cols, 64u);
  ASSERT_EQ(by_position.rows, 2u * 288u);
  ASSERT_EQ(by_axis.rows, by_position.rows);
  const std::vector<float> a = all_values(by_position);
  const std::vector<float> b = all_values(by_axis);
  for (std::size_t position = 0; position < 288; ++position)
    for (std::size_t axis = 0; axis < 2; ++axis)
      for (std::size_t d = 0; d < 64; ++d)
        ASSERT_EQ(a[(position * 2 + axis) * 64 + d], b[(axis * 288 + position) * 64 + d]);
}

TEST(ModelFile, BothContainersHoldTheSameVocabulary) {
  const auto directory = open_model(kGolden / "models/tiny").tokenizer_data();
  const auto gguf = open_model(kGolden / "gguf/tiny-Q8_0.gguf").tokenizer_data();
  ASSERT_TRUE(directory.has_value()) << directory.error().message;
  ASSERT_TRUE(gguf.has_value()) << gguf.error().message;
  EXPECT_EQ(directory->tokens, gguf->tokens);
  EXPECT_EQ(directory->merges, gguf->merges);
  ASSERT_EQ(directory->kinds.size(), gguf->kinds.size());
  for (std::size_t id = 0; id < gguf->kinds.size(); ++id)
    EXPECT_EQ(directory->kinds[id], gguf->kinds[id]) << id << " " << gguf->tokens[id];
}

TEST(ModelFile, PackedTensorsLieNearTheExactOnes) {
  const ModelFile exact = open_model(kGolden / "gguf/tiny-bf16.gguf");
  struct Case {
    const char* file;
    double relative_error;  // of 8-bit and 4-bit codes on normal weights, with room
  };
  for (const Case& c :
       {Case{"tiny-Q8_0", 0.01}, Case{"tiny-Q4_0", 0.12}, Case{"tiny-Q4_K_M", 0.1}}) {
    const ModelFile packed = open_model(kGolden / fmt::format("gguf/{}.gguf", c.file));
    for (const char* name : {"token_embd.weight", "blk.2.attn_v.weight", "blk.5.ffn_down.weight"}) {
      const std::vector<float> a = all_values(*exact.find(name));
      const std::vector<float> b = all_values(*packed.find(name));
      double error = 0.0;
      double size = 0.0;
      for (std::size_t i = 0; i < a.size(); ++i) {
        error += std::pow(double{a[i]} - b[i], 2.0);
        size += std::pow(double{a[i]}, 2.0);
      }
      EXPECT_LT(std::sqrt(error / size), c.relative_error) << c.file << " " << name;
    }
  }
}

TEST(ModelFile, ReadsSomeRows) {
  const ModelFile file = open_model(kGolden / "gguf/tiny-Q4_K_M.gguf");
  const Tensor& tensor = *file.find("blk.0.attn_q.weight");
  const std::vector<float> all = all_values(tensor);
  std::vector<float> part(3 * tensor.cols);
  ASSERT_TRUE(read_rows(tensor, 7, 3, part).has_value());
  EXPECT_TRUE(std::equal(part.begin(), part.end(), all.begin() + 7 * 256));
  EXPECT_FALSE(read_rows(tensor, tensor.rows - 2, 3, part).has_value());
  EXPECT_FALSE(read_rows(tensor, ~std::uint64_t{0}, 3, part).has_value());
  EXPECT_FALSE(read_rows(tensor, 0, 2, part).has_value());
}

TEST(ModelFile, DigestTellsModelsApart) {
  const std::string a = open_model(kGolden / "gguf/tiny-Q8_0.gguf").digest();
  EXPECT_EQ(a, open_model(kGolden / "gguf/tiny-Q8_0.gguf").digest());
  EXPECT_EQ(a.size(), 32u);
  EXPECT_NE(a, open_model(kGolden / "gguf/tiny-Q4_0.gguf").digest());
  EXPECT_NE(
      a,
      open_model(kGolden / "gguf/tiny-Q8_0.gguf", kGolden / "gguf/mmproj-tiny-bf16.gguf").digest());
}

}  // namespace
}  // namespace preflight::model
