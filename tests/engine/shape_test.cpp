// The true sizes of the 12B on software Vulkan: two layers, the full vocabulary, random weights.

#include <vector>

#include "tests/engine/golden.h"
#include "tests/engine/made_model.h"

namespace preflight::engine {
namespace {

TEST(TrueShape, TwelveBillionSizesLoadAndGenerateInTheMemoryComputed) {
  const MadeModel made({.shape = model::MadeShape::k12b, .n_layers = 2});
  EngineOptions options;
  options.model = made.path();
  options.context_tokens = 1024;
  options.max_sequences = 1;
  const auto loaded = Engine::load(options);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  Engine& engine = **loaded;
  EXPECT_EQ(engine.config().vocab_size, 262144u);
  EXPECT_EQ(engine.config().model_dim, 3840u);

  const auto sequence = engine.open();
  ASSERT_TRUE(sequence.has_value());
  std::vector<Input> inputs;
  for (const std::int32_t id : engine.tokenizer().encode("Coffee in 60 seconds", false))
    inputs.push_back({.token = id});
  ASSERT_TRUE(engine.prefill(*sequence, inputs).has_value());
  const GenerateRow row{.sequence = *sequence, .constraint = {}, .max_tokens = 2};
  const auto answers = engine.generate({&row, 1});
  ASSERT_TRUE(answers.has_value()) << answers.error().message;
  EXPECT_FALSE(answers->at(0).ids.empty());

  // The plan is what was computed before anything was allocated. Blocks round up to their own size.
  const std::uint64_t planned = engine.memory_plan().total_bytes();
  const std::uint64_t peak = engine.peak_device_bytes();
  EXPECT_LE(peak, planned + planned / 50);
  EXPECT_GE(peak, planned - planned / 50);
}

TEST(TrueShape, WhatDoesNotFitIsRefusedWithTheContextThatWould) {
  EngineOptions options;
  options.model = golden() / "models/tiny";
  options.context_tokens = 262144;
  options.max_sequences = 256;
  options.kv = KvFormat::kF32;
  const auto refused = Engine::load(options);
  if (refused.has_value()) {  // a device with room for all of it: nothing to refuse
    EXPECT_LE((*refused)->memory_plan().total_bytes(), (*refused)->memory_plan().budget_bytes);
    return;
  }
  EXPECT_TRUE(refused.error().code == ErrorCode::kOutOfMemory ||
              refused.error().code == ErrorCode::kLimit);
  EXPECT_NE(refused.error().message.find("fit"), std::string::npos) << refused.error().message;
}

}  // namespace
}  // namespace preflight::engine
