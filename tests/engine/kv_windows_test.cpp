// KV planes and weights larger than one binding of the device: seen in parts, with equal results.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/forward/tuning.h"
#include "engine/plain_prompt.h"
#include "tests/engine/made_model.h"

namespace preflight::engine {
namespace {

constexpr VkDeviceSize kBindingBytes = 512 << 10;
constexpr std::uint32_t kTokens = 4200;

std::unique_ptr<Engine> load(const MadeModel& model, VkDeviceSize most_binding_bytes,
                             std::uint32_t plane_loads) {
  EngineOptions options;
  options.model = model.path();
  options.context_tokens = kTokens + 100;
  options.max_sequences = 2;
  options.tuned = {{"chunk_rows", 64}, {"plane_loads", plane_loads}};
  options.device.most_binding_bytes = most_binding_bytes;
  auto engine = Engine::load(options);
  EXPECT_TRUE(engine.has_value()) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}

/// Logits after a prompt that fills several windows, then the tokens of an answer.
struct Outcome {
  std::vector<float> logits;
  std::vector<std::int32_t> ids;
};
Outcome run(Engine& engine) {
  Outcome outcome;
  const auto inputs = plain_prompt(*engine.vocabulary(), kTokens, /*seed=*/0);
  EXPECT_TRUE(inputs.has_value()) << inputs.error().message;
  const auto sequence = engine.open();
  EXPECT_TRUE(sequence.has_value());
  const std::uint32_t wanted = kTokens - 1;
  const auto ran = engine.logits(*sequence, *inputs, {&wanted, 1},
                                 [&](std::uint32_t, std::span<const float> logits) {
                                   outcome.logits.assign(logits.begin(), logits.end());
                                 });
  EXPECT_TRUE(ran.has_value()) << ran.error().message;
  // A fork copies a page that lies behind the first window.
  const auto fork = engine.fork(*sequence);
  EXPECT_TRUE(fork.has_value());
  EXPECT_TRUE(engine.prefill(*fork, std::span(*inputs).first(3)).has_value());
  const GenerateRow row{.sequence = *fork, .constraint = {}, .max_tokens = 4};
  const auto answers = engine.generate({&row, 1});
  EXPECT_TRUE(answers.has_value()) << answers.error().message;
  if (answers) outcome.ids = answers->at(0).ids;
  return outcome;
}

/// With planes as storage buffers, as texels and, which cuts weights in parts alone, by address;
/// each where the device has it.
class KvWindows : public testing::TestWithParam<forward::PlaneLoads> {};

TEST_P(KvWindows, ResultsAreThoseOfWholePlanes) {
  const auto plane_loads = static_cast<std::uint32_t>(GetParam());
  // One sliding layer, one full; logits small enough for the binding.
  const MadeModel made({.n_layers = 2, .vocab_size = 1024, .seed = 7});
  const auto whole = load(made, 0, plane_loads);
  ASSERT_NE(whole, nullptr);
  const Outcome expected = run(*whole);
  ASSERT_FALSE(expected.logits.empty());
  ASSERT_FALSE(expected.ids.empty());

  const auto cut = load(made, kBindingBytes, plane_loads);
  ASSERT_NE(cut, nullptr);
  EXPECT_EQ(cut->device().max_storage_buffer_range, kBindingBytes);
  // The prompt alone reaches into the third window of the values.
  ASSERT_GT(std::uint64_t{kTokens} * cut->config().full.head_dim * 2, 2 * kBindingBytes);
  const Outcome got = run(*cut);
  EXPECT_EQ(got.logits, expected.logits);
  EXPECT_EQ(got.ids, expected.ids);
}

std::string name_of(const testing::TestParamInfo<forward::PlaneLoads>& instance) {
  if (instance.param == forward::PlaneLoads::kStorage) return "Storage";
  return instance.param == forward::PlaneLoads::kAddresses ? "Addresses" : "Texels";
}

INSTANTIATE_TEST_SUITE_P(Loads, KvWindows,
                         testing::Values(forward::PlaneLoads::kStorage,
                                         forward::PlaneLoads::kTexelsWithAttention,
                                         forward::PlaneLoads::kAddresses),
                         name_of);

}  // namespace
}  // namespace preflight::engine
