// A row's result does not depend on its company: alone or beside seven others, forked or built from
// scratch, in one wide chunk or in several, the logits are equal to the bit.

#include <cstdint>
#include <span>
#include <vector>

#include "tests/engine/golden.h"

namespace preflight::engine {
namespace {

std::vector<Input> inputs_of(std::span<const std::int32_t> ids) {
  std::vector<Input> inputs;
  for (const std::int32_t id : ids) inputs.push_back({.token = id});
  return inputs;
}

class Invariance : public testing::TestWithParam<NumericClass> {
 protected:
  void SetUp() override {
    if (!can_run(GetParam())) GTEST_SKIP() << "this device has no such kernels";
    load();
    ASSERT_NE(engine_, nullptr);
    // 504 tokens: eight windows of the model, so pages are given back on the way.
    ids_ = read_tensor<std::int32_t>(golden() / "cases" / "text-long.safetensors", "ids");
    ASSERT_EQ(ids_.size(), 504u);
  }

  virtual void load() {
    auto& engine = engines()[GetParam().name];
    // Only packed weights meet integer dot products.
    const bool packed = GetParam().tier == vk::Tier::kDot;
    if (engine == nullptr)
      engine = load_golden(packed ? "gguf/tiny-Q4_K_M.gguf" : "models/tiny", GetParam());
    engine_ = engine.get();
  }

  /// Logits of the last input, with what comes before it appended in pieces of `chunk`.
  std::vector<float> last_logits(SequenceId sequence, std::span<const std::int32_t> ids,
                                 std::size_t chunk) {
    std::vector<float> row;
    while (!ids.empty()) {
      const std::size_t n = std::min(chunk, ids.size());
      const auto wanted = static_cast<std::uint32_t>(n - 1);
      const auto ran = engine_->logits(sequence, inputs_of(ids.first(n)), {&wanted, 1},
                                       [&](std::uint32_t, std::span<const float> logits) {
                                         row.assign(logits.begin(), logits.end());
                                       });
      EXPECT_TRUE(ran.has_value()) << ran.error().message;
      ids = ids.subspan(n);
    }
    return row;
  }

  SequenceId open() {
    const auto sequence = engine_->open();
    EXPECT_TRUE(sequence.has_value()) << sequence.error().message;
    return *sequence;
  }

  std::vector<Generation> generate(std::span<const SequenceId> sequences,
                                   std::span<const Sampling> sampling = {}) {
    std::vector<GenerateRow> rows;
    for (const SequenceId sequence : sequences)
      rows.push_back({.sequence = sequence, .constraint = {}, .max_tokens = 12, .sampling = {}});
    for (std::size_t i = 0; i < sampling.size(); i++) rows[i].sampling = sampling[i];
    auto answers = engine_->generate(rows);
    EXPECT_TRUE(answers.has_value()) << answers.error().message;
    return answers ? std::move(*answers) : std::vector<Generation>{};
  }

  Engine* engine_ = nullptr;
  std::vector<std::int32_t> ids_;
};

TEST_P(Invariance, ChunksDoNotMatter) {
  const SequenceId whole = open();
  const std::vector<float> expected = last_logits(whole, ids_, ids_.size());
  engine_->close(whole);
  // Narrow and wide steps, page borders hit and missed.
  for (const std::size_t chunk :
       {std::size_t{1}, std::size_t{3}, std::size_t{64}, std::size_t{97}}) {
    // Steps of few rows are slow: the first goes beyond a page, the second gives pages back.
    const std::size_t n = chunk == 1 ? 70 : chunk == 3 ? 150 : ids_.size();
    const SequenceId sequence = open();
    const std::vector<float> got = last_logits(sequence, std::span(ids_).first(n), chunk);
    engine_->close(sequence);
    if (n == ids_.size()) {
      EXPECT_EQ(got, expected) << "chunks of " << chunk;
    } else {
      const SequenceId short_one = open();
      EXPECT_EQ(got, last_logits(short_one, std::span(ids_).first(n), n)) << "chunks of " << chunk;
      engine_->close(short_one);
    }
  }
}

TEST_P(Invariance, ForksEqualSequencesFromScratch) {
  // 150 is inside a page: the fork's last page is copied when it is written.
  const SequenceId root = open();
  ASSERT_TRUE(engine_->prefill(root, inputs_of(std::span(ids_).first(150))).has_value());
  const auto fork = engine_->fork(root);
  ASSERT_TRUE(fork.has_value());
  const std::vector<float> forked = last_logits(*fork, std::span(ids_).subspan(150, 100), 100);
  // The root goes elsewhere, and a second fork still sees the common part.
  const auto second = engine_->fork(root);
  ASSERT_TRUE(second.has_value());
  last_logits(root, std::span(ids_).subspan(300, 90), 90);
  const std::vector<float> again = last_logits(*second, std::span(ids_).subspan(150, 100), 33);
  const SequenceId scratch = open();
  const std::vector<float> built = last_logits(scratch, std::span(ids_).first(250), 250);
  EXPECT_EQ(forked, built);
  EXPECT_EQ(again, built);
  for (const SequenceId sequence : {root, *fork, *second, scratch}) engine_->close(sequence);
}

TEST_P(Invariance, CompanyDoesNotMatter) {
  // Eight sequences of different lengths, first each alone, then all together; each gets one more
  // token behind its answer, since ids could agree by luck and logits to the bit could not.
  std::vector<std::vector<Input>> prompts;
  for (std::size_t i = 0; i < 8; i++)
    prompts.push_back(inputs_of(std::span(ids_).subspan(17 * i, 20 + 17 * i)));

  std::vector<std::vector<std::int32_t>> alone;
  std::vector<std::vector<float>> alone_logits;
  for (std::size_t i = 0; i < prompts.size(); i++) {
    const SequenceId sequence = open();
    ASSERT_TRUE(engine_->prefill(sequence, prompts[i]).has_value());
    alone.push_back(generate({&sequence, 1}).at(0).ids);
    alone_logits.push_back(last_logits(sequence, std::span(ids_).subspan(i, 1), 1));
    engine_->close(sequence);
  }

  std::vector<SequenceId> together;
  for (std::size_t i = 0; i < prompts.size(); i++) together.push_back(open());
  ASSERT_TRUE(engine_->prefill_many(together, prompts).has_value());
  const std::vector<Generation> answers = generate(together);
  for (std::size_t i = 0; i < prompts.size(); i++) EXPECT_EQ(answers.at(i).ids, alone[i]) << i;

  for (std::size_t i = 0; i < prompts.size(); i++) {
    const std::vector<float> logits = last_logits(together[i], std::span(ids_).subspan(i, 1), 1);
    engine_->close(together[i]);
    EXPECT_EQ(logits, alone_logits[i]) << i;
    // Where prefill and generation add in the same order, an answer may as well have been read.
    if (GetParam().card_kernels || GetParam().tier >= vk::Tier::kDot) continue;
    const SequenceId scratch = open();
    std::vector<std::int32_t> all;
    for (const Input& input : prompts[i]) all.push_back(input.token);
    all.insert(all.end(), alone[i].begin(), alone[i].end());
    all.push_back(ids_[i]);
    EXPECT_EQ(logits, last_logits(scratch, all, all.size())) << i;
    engine_->close(scratch);
  }
}

TEST_P(Invariance, SampledAnswersDoNotDependOnCompany) {
  // Five ways to draw from one prompt: each alone, then all together beside a greedy one.
  const std::vector<Sampling> ways = {{},
                                      {.temperature = 1, .top_k = 64, .top_p = 0.95f, .seed = 1},
                                      {.temperature = 1, .top_k = 64, .top_p = 0.95f, .seed = 2},
                                      {.temperature = 3, .seed = 1},
                                      {.temperature = 3, .min_p = 0.5f, .seed = 1},
                                      {.temperature = 1, .top_k = 1, .seed = 5}};
  const SequenceId root = open();
  ASSERT_TRUE(engine_->prefill(root, inputs_of(std::span(ids_).first(90))).has_value());
  const auto fork = [&] {
    const auto forked = engine_->fork(root);
    EXPECT_TRUE(forked.has_value());
    return *forked;
  };
  std::vector<std::vector<std::int32_t>> alone;
  for (const Sampling& way : ways) {
    const SequenceId sequence = fork();
    alone.push_back(generate({&sequence, 1}, {&way, 1}).at(0).ids);
    engine_->close(sequence);
  }
  EXPECT_EQ(alone[5], alone[0]) << "of one token the draw is the likeliest";
  EXPECT_NE(alone[1], alone[2]) << "another seed";
  EXPECT_NE(alone[3], alone[0]);
  std::vector<SequenceId> together;
  for (std::size_t i = 0; i < ways.size(); i++) together.push_back(fork());
  const std::vector<Generation> answers = generate(together, ways);
  for (std::size_t i = 0; i < ways.size(); i++) {
    EXPECT_EQ(answers.at(i).ids, alone[i]) << i;
    engine_->close(together[i]);
  }
  engine_->close(root);
}

/// In little room, so that a page which does not come back is soon missing: 8 pages for the context
/// and one for each sequence.
class Pages : public Invariance {
 protected:
  void load() override {
    auto& engine = engines()[std::string(GetParam().name) + " in little room"];
    if (engine == nullptr)
      engine = load_golden("models/tiny", GetParam(), "", /*max_sequences=*/3,
                           /*context_tokens=*/512);
    engine_ = engine.get();
  }
};

TEST_P(Pages, AllComeBack) {
  for (int i = 0; i < 20; i++) {
    const SequenceId root = open();
    ASSERT_TRUE(engine_->prefill(root, inputs_of(std::span(ids_).first(150))).has_value()) << i;
    const auto fork = engine_->fork(root);
    ASSERT_TRUE(fork.has_value());
    engine_->close(root);
    ASSERT_TRUE(engine_->prefill(*fork, inputs_of(std::span(ids_).first(30))).has_value()) << i;
    engine_->close(*fork);
  }
}

TEST_P(Pages, AContextThatIsFullIsRefusedAndHarmsNobody) {
  const SequenceId bystander = open();
  ASSERT_TRUE(engine_->prefill(bystander, inputs_of(std::span(ids_).first(100))).has_value());
  const SequenceId big = open();
  std::vector<Input> many = inputs_of(ids_);
  const std::vector<Input> part = many;
  many.insert(many.end(), part.begin(), part.end());
  const auto refused = engine_->prefill(big, many);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kLimit) << refused.error().message;
  engine_->close(big);

  const std::int32_t next = ids_[100];
  const std::vector<float> after = last_logits(bystander, {&next, 1}, 1);
  const SequenceId scratch = open();
  EXPECT_EQ(after, last_logits(scratch, std::span(ids_).first(101), 101));
  for (const SequenceId sequence : {bystander, scratch}) engine_->close(sequence);
}

INSTANTIATE_TEST_SUITE_P(Classes, Invariance,
                         testing::Values(kF32Class, kKv16Class, kAct16Class, kAct8Class,
                                         kCoopmatClass, kCardF32Class, kCardAct16Class),
                         [](const auto& test) { return std::string(test.param.name); });
// Pages are counted on the host, which sees no numbers: what differs is how many rows a step has.
INSTANTIATE_TEST_SUITE_P(Classes, Pages, testing::Values(kF32Class, kCardAct16Class),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace preflight::engine
