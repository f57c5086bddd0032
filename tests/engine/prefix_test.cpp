// Beginnings that are found again: whatever was kept, cut or given up, the logits behind a cached
// beginning are equal to the bit to those from scratch.

#include <algorithm>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "engine/media/image.h"
#include "tests/engine/golden.h"

namespace preflight::engine {
namespace {

using Inputs = std::vector<Input>;

void append(Inputs& to, const Inputs& more) { to.insert(to.end(), more.begin(), more.end()); }

class Prefix : public testing::TestWithParam<NumericClass> {
 protected:
  void load(std::uint32_t context_tokens, std::uint32_t max_bookmarks,
            std::uint32_t max_sequences = 8) {
    EngineOptions options;
    options.model = golden() / "models/tiny";
    options.tier = GetParam().tier;
    options.kv = GetParam().kv;
    options.context_tokens = context_tokens;
    options.max_sequences = max_sequences;
    options.max_bookmarks = max_bookmarks;
    auto engine = Engine::load(options);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    engine_ = std::move(*engine);
    ids_ = read_tensor<std::int32_t>(golden() / "cases" / "text-long.safetensors", "ids");
    ASSERT_EQ(ids_.size(), 504u);
  }

  [[nodiscard]] Inputs words(std::size_t first, std::size_t n) const {
    Inputs inputs;
    for (std::size_t i = 0; i < n; i++)
      inputs.push_back({.token = ids_[(first + i) % ids_.size()]});
    return inputs;
  }

  /// A picture of noise between its two marks; the same number, the same picture.
  Inputs picture(std::uint32_t number, std::uint32_t columns, std::uint32_t rows) {
    std::mt19937 random(number);
    media::ImagePatches patches{
        .columns = columns, .rows = rows, .patches = {}, .source_width = 0, .source_height = 0};
    patches.patches.resize(std::size_t{columns} * rows * 6912);
    for (float& value : patches.patches) value = static_cast<float>(random() % 256) / 255.0f;
    const auto soft = engine_->embed_image(patches);
    EXPECT_TRUE(soft.has_value()) << soft.error().message;
    const model::SpecialTokens& special = engine_->special_tokens();
    return between(special.boi, special.image, special.eoi, *soft, true, 1 + number);
  }

  Inputs sound(std::uint32_t number, std::size_t n_samples) {
    std::mt19937 random(number);
    std::vector<float> samples(n_samples);
    for (float& value : samples) value = static_cast<float>(random() % 2001) / 1000.0f - 1.0f;
    const auto soft = engine_->embed_audio(samples);
    EXPECT_TRUE(soft.has_value()) << soft.error().message;
    const model::SpecialTokens& special = engine_->special_tokens();
    return between(special.boa, special.audio, special.eoa, *soft, false, 1000 + number);
  }

  SequenceId open() {
    const auto sequence = engine_->open();
    EXPECT_TRUE(sequence.has_value()) << sequence.error().message;
    return *sequence;
  }

  /// The logits behind the inputs, appended to the sequence.
  std::vector<float> last_logits(SequenceId sequence, std::span<const Input> inputs) {
    std::vector<float> row;
    const auto wanted = static_cast<std::uint32_t>(inputs.size() - 1);
    const auto ran = engine_->logits(sequence, inputs, {&wanted, 1},
                                     [&](std::uint32_t, std::span<const float> logits) {
                                       row.assign(logits.begin(), logits.end());
                                     });
    EXPECT_TRUE(ran.has_value()) << ran.error().message;
    return row;
  }

  std::vector<float> from_scratch(std::span<const Input> inputs) {
    const SequenceId sequence = open();
    std::vector<float> row = last_logits(sequence, inputs);
    engine_->close(sequence);
    return row;
  }

  CachedSequence open_cached(std::span<const Input> inputs) {
    const auto opened = engine_->open_cached(inputs);
    EXPECT_TRUE(opened.has_value()) << opened.error().message;
    return *opened;
  }

  /// Prefills what is not cached of `shared`, and keeps it.
  CachedSequence begin_with(const Inputs& shared) {
    const CachedSequence opened = open_cached(shared);
    EXPECT_TRUE(
        engine_->prefill(opened.sequence, std::span(shared).subspan(opened.n_cached)).has_value());
    engine_->bookmark(opened.sequence);
    return opened;
  }

  std::unique_ptr<Engine> engine_;
  std::vector<std::int32_t> ids_;

 private:
  Inputs between(std::int32_t before, std::int32_t placeholder, std::int32_t after,
                 const SoftTokens& soft, bool vision, std::uint64_t key) {
    media_.push_back(soft.rows);
    Inputs inputs = {{.token = before}};
    for (std::uint32_t i = 0; i < soft.n_tokens; i++)
      inputs.push_back(
          {.token = placeholder,
           .soft_row = media_.back().data() + std::size_t{i} * engine_->config().model_dim,
           .vision = vision,
           .medium = {.high = 5, .low = key},
           .medium_index = i});
    inputs.push_back({.token = after});
    return inputs;
  }

  std::vector<std::vector<float>> media_;  ///< what the inputs point into; moves keep their memory
};

TEST_P(Prefix, TwentyVariantsReadTheirCommonPartOnceAndFiveChecksTheVariantOnce) {
  load(4096, 2);
  // Longer than the window of 64, with media inside of it and before it.
  Inputs shared = words(0, 30);
  append(shared, picture(1, 4, 3));
  append(shared, words(60, 12));
  append(shared, sound(1, 4000));
  append(shared, words(100, 47));
  for (std::uint32_t variant = 0; variant < 20; variant++) {
    Inputs rest = picture(100 + variant, 3, 2 + variant % 3);
    append(rest, words(7 * variant, 5 + variant));
    const CachedSequence opened = begin_with(shared);
    // The last input waits for the next call, so it is not among what is kept.
    EXPECT_EQ(opened.n_cached, variant == 0 ? 0 : shared.size() - 1);
    ASSERT_TRUE(engine_->prefill(opened.sequence, rest).has_value());
    Inputs whole = shared;
    append(whole, rest);
    for (std::uint32_t check = 0; check < (variant % 7 == 0 ? 5 : 1); check++) {
      const auto fork = engine_->fork(opened.sequence);
      ASSERT_TRUE(fork.has_value());
      const Inputs question = words(200 + 11 * check, 9);
      Inputs asked = whole;
      append(asked, question);
      EXPECT_EQ(last_logits(*fork, question), from_scratch(asked)) << variant << ", " << check;
      engine_->close(*fork);
    }
    engine_->close(opened.sequence);
  }
  EXPECT_EQ(engine_->meter().cached_tokens, 19 * (shared.size() - 1));
}

TEST_P(Prefix, AnswersBehindACachedBeginningAreThoseFromScratch) {
  load(2048, 2);
  const Inputs shared = words(0, 130);
  engine_->close(begin_with(shared).sequence);
  Inputs prompt = shared;
  append(prompt, words(300, 25));
  std::vector<std::vector<std::int32_t>> answers;
  for (const bool cached : {false, true}) {
    const SequenceId sequence = cached ? open_cached(prompt).sequence : open();
    const std::size_t from = cached ? shared.size() - 1 : 0;
    ASSERT_EQ(engine_->length(sequence), from);
    ASSERT_TRUE(engine_->prefill(sequence, std::span(prompt).subspan(from)).has_value());
    const GenerateRow row{.sequence = sequence, .constraint = {}, .max_tokens = 12};
    auto generated = engine_->generate({&row, 1});
    ASSERT_TRUE(generated.has_value()) << generated.error().message;
    answers.push_back(generated->front().ids);
    // What was written can be gone on from as well.
    if (cached) engine_->bookmark(sequence);
    engine_->close(sequence);
  }
  EXPECT_EQ(answers[0], answers[1]);
  Inputs turn = prompt;
  for (const std::int32_t id : answers[0]) turn.push_back({.token = id});
  append(turn, words(400, 10));
  const CachedSequence second = open_cached(turn);
  EXPECT_EQ(second.n_cached, prompt.size() + answers[0].size() - 1);
  EXPECT_EQ(last_logits(second.sequence, std::span(turn).subspan(second.n_cached)),
            from_scratch(turn));
  engine_->close(second.sequence);
}

TEST_P(Prefix, MediaAreToldApartByTheirKeysAndBlocksAreNotCut) {
  load(2048, 4);
  Inputs one = words(0, 20);
  append(one, picture(1, 4, 4));
  append(one, words(30, 5));
  engine_->close(begin_with(one).sequence);

  Inputs other = words(0, 20);
  append(other, picture(2, 4, 4));
  append(other, words(30, 5));
  const CachedSequence opened = open_cached(other);
  EXPECT_EQ(opened.n_cached, 21u);  // the words and the mark before the picture
  EXPECT_EQ(last_logits(opened.sequence, std::span(other).subspan(21)), from_scratch(other));
  engine_->close(opened.sequence);

  // Without keys nothing but the words can be known.
  Inputs unknown = one;
  for (Input& input : unknown) input.medium = {};
  const CachedSequence blind = open_cached(unknown);
  EXPECT_EQ(blind.n_cached, 21u);
  ASSERT_TRUE(engine_->prefill(blind.sequence, std::span(unknown).subspan(21)).has_value());
  engine_->bookmark(blind.sequence);  // could never be found: not kept
  engine_->close(blind.sequence);

  // The end of a picture that fills the query: it is read again as a whole.
  const Inputs cut(one.begin(), one.begin() + 37);
  const CachedSequence at_picture = open_cached(cut);
  EXPECT_EQ(at_picture.n_cached, 21u);
  engine_->close(at_picture.sequence);
}

TEST_P(Prefix, OpenSequencesTakeThePagesOfBookmarks) {
  load(512, 2, /*max_sequences=*/2);
  for (int round = 0; round < 2; round++) {
    // Two beginnings of 200 are kept; then a sequence needs the whole context.
    for (const std::size_t first : {std::size_t{0}, std::size_t{250}})
      engine_->close(begin_with(words(first, 200)).sequence);
    const Inputs all = words(17, 510);
    const CachedSequence opened = open_cached(all);
    EXPECT_EQ(opened.n_cached, 0u);
    const std::vector<float> row = last_logits(opened.sequence, all);
    engine_->close(opened.sequence);
    EXPECT_EQ(row, from_scratch(all)) << round;
  }
}

TEST_P(Prefix, WithoutBookmarksNothingIsKept) {
  load(512, 0);
  EXPECT_EQ(engine_->memory_plan().bookmarks_bytes, 0u);
  engine_->close(begin_with(words(0, 100)).sequence);
  EXPECT_EQ(open_cached(words(0, 100)).n_cached, 0u);
}

// Whatever the order: beginnings in common by chance, more of them than bookmarks, and a context so
// short that bookmarks are given up.
TEST_P(Prefix, RandomWorkEqualsWorkFromScratch) {
  load(1024, 3, /*max_sequences=*/6);
  std::mt19937 random(3);
  const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::vector<Inputs> pieces = {words(0, 40),     words(90, 70),  picture(1, 5, 3),
                                      picture(2, 2, 2), sound(1, 6400), words(200, 3),
                                      words(310, 64)};
  struct Open {
    SequenceId sequence{};
    Inputs inputs;
  };
  std::vector<Open> open_ones;
  for (int step = 0; step < 48; step++) {
    if (open_ones.size() < 3 || below(3) == 0) {
      if (open_ones.size() == 3) {
        engine_->close(open_ones.front().sequence);
        open_ones.erase(open_ones.begin());
      }
      Inputs inputs = pieces[below(2)];
      for (std::uint32_t n = below(3); n > 0; n--) append(inputs, pieces[below(pieces.size())]);
      const CachedSequence opened = open_cached(inputs);
      EXPECT_LT(opened.n_cached, inputs.size());
      ASSERT_TRUE(engine_->prefill(opened.sequence, std::span(inputs).subspan(opened.n_cached))
                      .has_value());
      if (below(2) == 0) engine_->bookmark(opened.sequence);
      open_ones.push_back({opened.sequence, std::move(inputs)});
      continue;
    }
    Open& one = open_ones[below(open_ones.size())];
    const Inputs more = pieces[below(pieces.size())];
    Inputs whole = one.inputs;
    append(whole, more);
    if (below(2) == 0) {
      const auto fork = engine_->fork(one.sequence);
      ASSERT_TRUE(fork.has_value());
      EXPECT_EQ(last_logits(*fork, more), from_scratch(whole)) << "step " << step;
      engine_->bookmark(*fork);
      engine_->close(*fork);
    } else if (whole.size() < 250) {
      ASSERT_TRUE(engine_->prefill(one.sequence, more).has_value());
      one.inputs = std::move(whole);
    }
  }
  EXPECT_GT(engine_->meter().cached_tokens, 400u);
  // Every page comes back: the whole context fits one sequence again.
  for (const Open& one : open_ones) engine_->close(one.sequence);
  const Inputs all = words(5, 1023);
  const SequenceId last = open();
  EXPECT_TRUE(engine_->prefill(last, all).has_value());
  engine_->close(last);
}

// Float16 pages are copied and kept the same way with either kind of inputs.
INSTANTIATE_TEST_SUITE_P(Classes, Prefix, testing::Values(kF32Class, kAct16Class),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace preflight::engine
