// Drafters: what their files say, which wrong files are refused, and which models they do not fit.

#include "engine/model/drafter_file.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/model/model_file.h"
#include "tests/model/file_surgery.h"

namespace preflight::model {
namespace {

using nlohmann::json;
using surgery::expect_parts;
using surgery::kGolden;

void expect_drafter_refused(const std::filesystem::path& path,
                            const std::vector<std::string>& parts,
                            ErrorCode code = ErrorCode::kInvalidInput) {
  const auto file = DrafterFile::open(path);
  ASSERT_FALSE(file.has_value()) << "accepted, expected a complaint about " << parts.front();
  expect_parts(file.error(), code, parts);
}

void expect_drafter_gguf_refused(const std::function<void(std::string&)>& damage,
                                 const std::vector<std::string>& parts,
                                 ErrorCode code = ErrorCode::kInvalidInput) {
  const surgery::ScratchDirectory scratch;
  std::string bytes = surgery::read_bytes(kGolden / "gguf/tiny-drafter-Q8_0.gguf");
  damage(bytes);
  surgery::write_bytes(scratch / "drafter.gguf", bytes);
  std::vector<std::string> all = parts;
  all.emplace_back("drafter.gguf");
  expect_drafter_refused(scratch / "drafter.gguf", all, code);
}

void expect_drafter_checkpoint_refused(const surgery::JsonEdit& config,
                                       const surgery::TensorEdit& tensors,
                                       const std::vector<std::string>& parts,
                                       ErrorCode code = ErrorCode::kInvalidInput) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("tiny-drafter", scratch / "d", config, tensors);
  expect_drafter_refused(scratch / "d", parts, code);
}

TEST(DrafterFile, BothContainersHoldTheSameDrafter) {
  const auto target = ModelFile::open(kGolden / "models/tiny", {});
  ASSERT_TRUE(target.has_value()) << target.error().message;
  for (const char* path : {"models/tiny-drafter", "gguf/tiny-drafter-Q8_0.gguf"}) {
    const auto file = DrafterFile::open(kGolden / path);
    ASSERT_TRUE(file.has_value()) << file.error().message;
    const DrafterConfig& config = file->config();
    EXPECT_EQ(config.target_dim, 256u);
    EXPECT_EQ(config.layers.model_dim, 128u);
    EXPECT_EQ(config.layers.n_layers, 4u);
    EXPECT_EQ(config.layers.ffn_dim, 128u);
    EXPECT_EQ(config.layers.n_heads, 4u);
    EXPECT_EQ(config.layers.vocab_size, 1056u);
    EXPECT_FALSE(config.layers.logit_softcap.has_value());
    EXPECT_NE(file->find("nextn.pre_projection.weight"), nullptr);
    EXPECT_NE(file->find("blk.3.layer_output_scale.weight"), nullptr);
    EXPECT_EQ(file->find("blk.3.attn_k.weight"), nullptr);
    const auto fits = check_drafter_fits(config, target->config(), file->name());
    EXPECT_TRUE(fits.has_value()) << fits.error().message;
  }
}

TEST(WrongDrafter, IsAnotherKindOfFile) {
  expect_drafter_refused(kGolden / "gguf/absent.gguf", {"absent.gguf", "cannot be opened"},
                         ErrorCode::kNotFound);
  expect_drafter_refused(kGolden / "gguf/tiny-Q4_0.gguf",
                         {"general.architecture", "\"gemma4\"", "expected \"gemma4-assistant\""},
                         ErrorCode::kUnsupported);
  expect_drafter_refused(kGolden / "models/tiny",
                         {"config.json", "model_type", "expected \"gemma4_unified_assistant\""},
                         ErrorCode::kUnsupported);
  // And the other way round.
  for (const char* path : {"models/tiny-drafter", "gguf/tiny-drafter-Q8_0.gguf"}) {
    const auto model = ModelFile::open(kGolden / path, {});
    ASSERT_FALSE(model.has_value());
    expect_parts(model.error(), ErrorCode::kUnsupported, {"drafter, which is given beside"});
  }
}

TEST(WrongDrafter, ContradictsItself) {
  expect_drafter_gguf_refused(
      [](std::string& b) { surgery::set_key(b, "gemma4-assistant.nextn_predict_layers", 3u); },
      {"nextn_predict_layers", "is 3", "expected 4"}, ErrorCode::kUnsupported);
  expect_drafter_gguf_refused(
      [](std::string& b) {
        surgery::set_key(b, "gemma4-assistant.attention.shared_kv_layers", 2u);
      },
      {"shared_kv_layers", "is 2", "expected 4"}, ErrorCode::kUnsupported);
  expect_drafter_gguf_refused(
      [](std::string& b) { surgery::set_key(b, "gemma4-assistant.embedding_length_out", 128u); },
      {"nextn.pre_projection.weight", "[512, 128]", "expected [256, 128]"});
  expect_drafter_gguf_refused(
      [](std::string& b) { surgery::replace(b, "blk.2.ffn_up.weight", "blk.2.ffn_us.weight"); },
      {"blk.2.ffn_up.weight", "missing"});
  expect_drafter_checkpoint_refused([](json& c) { c["use_ordered_embeddings"] = true; }, {},
                                    {"config.json", "use_ordered_embeddings", "expected false"},
                                    ErrorCode::kUnsupported);
  expect_drafter_checkpoint_refused([](json& c) { c["text_config"]["num_kv_shared_layers"] = 0; },
                                    {}, {"text_config.num_kv_shared_layers", "is 0", "expected 4"},
                                    ErrorCode::kUnsupported);
  expect_drafter_checkpoint_refused([](json& c) { c.erase("backbone_hidden_size"); }, {},
                                    {"config.json", "backbone_hidden_size", "missing"});
  expect_drafter_checkpoint_refused(
      {}, [](surgery::Safetensors& t) { t.header.erase("post_projection.weight"); },
      {"nextn.post_projection.weight", "missing", "[256, 128]"});
  expect_drafter_checkpoint_refused(
      {},
      [](surgery::Safetensors& t) {
        t.add("model.layers.0.self_attn.k_proj.weight", {128, 128});
      },
      {"k_proj", "no place"}, ErrorCode::kUnsupported);
}

TEST(WrongDrafter, WasMadeForAnotherModel) {
  const auto target = ModelFile::open(kGolden / "models/tiny", {});
  ASSERT_TRUE(target.has_value()) << target.error().message;
  const auto drafter = DrafterFile::open(kGolden / "models/tiny-drafter");
  ASSERT_TRUE(drafter.has_value()) << drafter.error().message;

  struct Change {
    std::function<void(ModelConfig&)> change;
    std::vector<std::string> parts;
  };
  const std::vector<Change> changes = {
      {[](ModelConfig& c) { c.model_dim = 512; }, {"width of the target is 256", "expected 512"}},
      {[](ModelConfig& c) { c.vocab_size = 9; }, {"vocabulary is 1056", "expected 9"}},
      {[](ModelConfig& c) { c.sliding.head_dim = 32; },
       {"head size of sliding layers is 64", "expected 32"}},
      {[](ModelConfig& c) { c.full.n_kv_heads = 2; },
       {"number of KV heads of full layers is 1", "expected 2"}},
      {[](ModelConfig& c) { c.sliding_window = 32; }, {"sliding window is 64", "expected 32"}},
      {[](ModelConfig& c) { c.full_inv_freq[1] *= 2; },
       {"rotation of pair 1 of full layers", "expected"}}};
  for (const Change& change : changes) {
    ModelConfig other = target->config();
    change.change(other);
    const auto fits = check_drafter_fits(drafter->config(), other, drafter->name());
    ASSERT_FALSE(fits.has_value());
    std::vector<std::string> parts = change.parts;
    parts.emplace_back("tiny-drafter: the drafter does not fit the model");
    expect_parts(fits.error(), ErrorCode::kUnsupported, parts);
  }
}

}  // namespace
}  // namespace preflight::model
