#include "engine/model/make_model.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/model/blocks.h"
#include "engine/model/demo_vocabulary.h"
#include "engine/model/drafter_file.h"
#include "engine/model/model_file.h"
#include "engine/text/tokenizer.h"
#include "tests/model/file_surgery.h"

namespace preflight::model {
namespace {

ModelFile made(const MakeModelOptions& options, const std::filesystem::path& path,
               const std::filesystem::path& mmproj = {}) {
  const auto bytes = make_model(options, path);
  EXPECT_TRUE(bytes.has_value()) << bytes.error().message;
  EXPECT_EQ(*bytes, std::filesystem::file_size(path));
  auto file = ModelFile::open(path, mmproj);
  if (!file.has_value()) {
    ADD_FAILURE() << file.error().message;
    std::abort();
  }
  return std::move(file).value();
}

TEST(MakeModel, TheDemoOpensWithItsImageAndSoundPart) {
  const surgery::ScratchDirectory scratch;
  const auto mmproj = make_model({.mmproj = true}, scratch / "mmproj.gguf");
  ASSERT_TRUE(mmproj.has_value()) << mmproj.error().message;
  const ModelFile file = made({}, scratch / "demo.gguf", scratch / "mmproj.gguf");
  const ModelConfig& config = file.config();
  EXPECT_EQ(config.n_layers, 6u);
  EXPECT_EQ(config.model_dim, 256u);
  EXPECT_EQ(config.vocab_size, 4096u);
  EXPECT_EQ(config.layer_kinds.back(), LayerKind::kFull);
  EXPECT_EQ(config.vision_embed_dim, 256u);
  EXPECT_EQ(config.vision_positions, 1120u);
  EXPECT_EQ(config.audio_frame, 640u);
  EXPECT_TRUE(config.full_value_is_key);
  EXPECT_EQ(config.full_inv_freq[16 - 1] > 0.0f, true);
  EXPECT_EQ(config.full_inv_freq[16], 0.0f);
  // Fewer than 6.2 million weights in the layers: what keeps the demo quick on a processor.
  std::uint64_t weights = 0;
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer)
    for (const char* part :
         {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"})
      if (const Tensor* tensor = file.find(fmt::format("blk.{}.{}.weight", layer, part)))
        weights += tensor->rows * tensor->cols;
  EXPECT_LT(weights, 6'200'000u);
}

TEST(MakeModel, EveryTypeHasTheStatedDeviation) {
  const surgery::ScratchDirectory scratch;
  for (const char* name : {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_K", "Q6_K", "Q4_1", "Q5_0",
                           "Q5_1", "Q2_K", "Q3_K", "Q5_K", "IQ4_NL", "IQ4_XS"}) {
    SCOPED_TRACE(name);
    const ModelFile file =
        made({.n_layers = 2, .type = *type_from_name(name), .vocab_size = 512}, scratch / "m.gguf");
    const Tensor& tensor = *file.find("blk.1.ffn_down.weight");
    EXPECT_EQ(type_name(tensor.type), name);
    std::vector<float> values(tensor.rows * tensor.cols);
    ASSERT_TRUE(read_rows(tensor, 0, tensor.rows, values).has_value());
    double sum = 0.0;
    double squares = 0.0;
    for (const float value : values) {
      sum += double{value};
      squares += double{value} * double{value};
    }
    const auto n = static_cast<double>(values.size());
    const double expected = 1.0 / std::sqrt(static_cast<double>(tensor.cols));
    EXPECT_NEAR(std::sqrt(squares / n) / expected, 1.0, 0.06);
    EXPECT_NEAR(sum / n / expected, 0.0, 0.02);
  }
}

TEST(MakeModel, TheSameSeedGivesTheSameBytes) {
  const surgery::ScratchDirectory scratch;
  const auto bytes_of = [&](std::uint64_t seed, unsigned n_threads) {
    const auto made_bytes =
        make_model({.n_layers = 2, .vocab_size = 512, .seed = seed, .n_threads = n_threads},
                   scratch / "m.gguf");
    EXPECT_TRUE(made_bytes.has_value());
    return surgery::read_bytes(scratch / "m.gguf");
  };
  const std::string one = bytes_of(1, 1);
  EXPECT_EQ(one, bytes_of(1, 3));
  EXPECT_NE(one, bytes_of(2, 1));
}

TEST(MakeModel, The12bHasItsPublishedShapesAndIds) {
  const surgery::ScratchDirectory scratch;
  // The whole vocabulary in the smallest type, two layers: the sizes are real, the file is not
  // huge.
  const ModelFile file = made({.shape = MadeShape::k12b,
                               .n_layers = 2,
                               .type = TensorType::kQ2_K,
                               .head = TensorType::kQ2_K},
                              scratch / "m.gguf");
  EXPECT_EQ(file.config().vocab_size, 262144u);
  EXPECT_EQ(file.config().sliding, (AttentionShape{256, 8}));
  EXPECT_EQ(file.config().full, (AttentionShape{512, 1}));
  EXPECT_EQ(file.config().ffn_dim, 15360u);
  EXPECT_FLOAT_EQ(file.config().embedding_scale, 61.967735f);
  EXPECT_EQ(file.find("blk.1.attn_output.weight")->cols, 8192u);
  const SpecialTokens& tokens = file.special_tokens();
  EXPECT_EQ(tokens.stop, (std::vector<std::int32_t>{1, 50, 106}));
  EXPECT_EQ(tokens.suppressed,
            (std::vector<std::int32_t>{0, 2, 3, 4, 46, 47, 51, 98, 105, 255999, 256000, 258880,
                                       258881, 258882, 258883, 258884}));
}

TEST(MakeModel, TheDrafterFitsItsModel) {
  const surgery::ScratchDirectory scratch;
  for (const MadeShape shape : {MadeShape::kDemo, MadeShape::k12b}) {
    const ModelFile target =
        made({.shape = shape, .n_layers = 2, .type = TensorType::kQ2_K, .head = TensorType::kQ2_K},
             scratch / "m.gguf");
    const auto bytes = make_model({.shape = shape, .type = TensorType::kQ2_K, .drafter = true},
                                  scratch / "d.gguf");
    ASSERT_TRUE(bytes.has_value()) << bytes.error().message;
    EXPECT_EQ(*bytes, std::filesystem::file_size(scratch / "d.gguf"));
    const auto drafter = DrafterFile::open(scratch / "d.gguf");
    ASSERT_TRUE(drafter.has_value()) << drafter.error().message;
    const auto fits = check_drafter_fits(drafter->config(), target.config(), drafter->name());
    EXPECT_TRUE(fits.has_value()) << fits.error().message;
    if (shape == MadeShape::kDemo) continue;
    // The published drafter's sizes and number of parameters, its rope divisors not counted.
    EXPECT_EQ(drafter->config().layers.ffn_dim, 8192u);
    std::uint64_t n_parameters = 0;
    const auto count = [&](const std::string& name) {
      const Tensor* tensor = drafter->find(name);
      ASSERT_NE(tensor, nullptr) << name;
      n_parameters += tensor->rows * tensor->cols;
    };
    for (const char* name :
         {"token_embd", "output_norm", "nextn.pre_projection", "nextn.post_projection"})
      count(fmt::format("{}.weight", name));
    for (std::uint32_t layer = 0; layer < 4; ++layer)
      for (const char* part :
           {"attn_norm", "attn_q", "attn_q_norm", "attn_output", "post_attention_norm", "ffn_norm",
            "ffn_gate", "ffn_up", "ffn_down", "post_ffw_norm", "layer_output_scale"})
        count(fmt::format("blk.{}.{}.weight", layer, part));
    EXPECT_EQ(n_parameters, 422'856'964u);
  }
}

TEST(MakeModel, OptionsOutOfRangeAreRefused) {
  const surgery::ScratchDirectory scratch;
  for (const MakeModelOptions& options :
       {MakeModelOptions{.n_layers = 1}, MakeModelOptions{.n_layers = 49},
        MakeModelOptions{.vocab_size = 300}, MakeModelOptions{.vocab_size = 1u << 20},
        MakeModelOptions{.n_layers = 6, .drafter = true}}) {
    const auto result = make_model(options, scratch / "m.gguf");
    ASSERT_FALSE(result.has_value());
    EXPECT_NE(result.error().message.find("expected"), std::string::npos);
  }
  const auto unwritable = make_model({.vocab_size = 512}, scratch / "absent/m.gguf");
  ASSERT_FALSE(unwritable.has_value());
  EXPECT_EQ(unwritable.error().code, ErrorCode::kIo);
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(DemoVocabulary, EnglishCostsAboutOneTokenAWord) {
  const surgery::ScratchDirectory scratch;
  const ModelFile file = made({}, scratch / "demo.gguf");
  auto data = file.tokenizer_data();
  ASSERT_TRUE(data.has_value()) << data.error().message;
  const auto tokenizer = text::Tokenizer::create(std::move(data).value());
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  const std::string brief =
      "The video opens with a person on a train. Show the product in the first three seconds and "
      "say "
      "the price clearly. The offer ends in December, and the landing page must show the same "
      "discount.";
  const std::vector<std::int32_t> ids = tokenizer->encode(brief, false);
  EXPECT_LT(ids.size(), 42u);  // 34 words and 4 marks
  EXPECT_EQ(tokenizer->decode(ids, false), brief);
  // Digits stay apart, newlines run together, anything else goes through bytes.
  EXPECT_EQ(tokenizer->encode("1234", false).size(), 4u);
  EXPECT_EQ(tokenizer->encode("\n\n\n\n\n", false).size(), 1u);
  const std::string odd = "Grüße, 世界! 🙂 naïve\tok";
  EXPECT_EQ(tokenizer->decode(tokenizer->encode(odd, false), false), odd);
  EXPECT_EQ(tokenizer->encode("<|turn>user\n", true).front(), *tokenizer->find("<|turn>"));
}

TEST(DemoVocabulary, SizesFromSmallToPublished) {
  for (const std::uint32_t size : {512u, 700u, 4096u, kPublishedVocabulary}) {
    const auto vocabulary = make_demo_vocabulary(size);
    ASSERT_TRUE(vocabulary.has_value());
    ASSERT_EQ(vocabulary->tokens.size(), size);
    text::TokenizerData data;
    data.tokens = vocabulary->tokens;
    data.kinds.reserve(size);
    for (const std::int32_t type : vocabulary->types)
      data.kinds.push_back(type == 6   ? text::TokenKind::kByte
                           : type == 1 ? text::TokenKind::kNormal
                           : type == 5 ? text::TokenKind::kUnused
                                       : text::TokenKind::kSpecial);
    for (const std::string& merge : vocabulary->merges) {
      const std::size_t space = merge.find(' ', 1);
      data.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
    }
    const auto tokenizer = text::Tokenizer::create(std::move(data));
    EXPECT_TRUE(tokenizer.has_value()) << size << ": " << tokenizer.error().message;
  }
}

}  // namespace
}  // namespace preflight::model
