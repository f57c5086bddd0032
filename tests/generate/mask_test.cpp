#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/generate/mask_cache.h"
#include "engine/generate/schema.h"
#include "tests/generate/test_support.h"

namespace preflight::generate {
namespace {

// The mask holds exactly the tokens over which advance() moves.
void expect_exact_mask(const ConstraintState& state, const Vocabulary& vocabulary) {
  const auto mask = state.mask();
  ASSERT_EQ(mask->size(), (vocabulary.size() + 31) / 32);
  for (std::size_t id = 0; id < vocabulary.size(); ++id) {
    ConstraintState next = state;
    const bool moves = next.advance(static_cast<std::int32_t>(id)).has_value();
    ASSERT_EQ(((*mask)[id / 32] >> (id % 32) & 1u) != 0, moves)
        << "token " << id << " " << vocabulary.token_bytes(static_cast<std::int32_t>(id));
  }
}

TEST(Mask, HoldsExactlyWhatAdvanceTakes) {
  const auto vocabulary = tiny_vocabulary();
  std::mt19937 random(11);
  for (const auto& [name, text] : sample_schemas()) {
    SCOPED_TRACE(name);
    const Schema schema = compile_or_die(text, vocabulary);
    ConstraintState state = schema.begin();
    for (int step = 0; step < 25 && !state.done(); ++step) {
      expect_exact_mask(state, *vocabulary);
      if (HasFatalFailure()) return;
      const auto tokens = allowed_tokens(state);
      if (tokens.empty()) break;
      ASSERT_TRUE(state.advance(tokens[random() % tokens.size()]));
    }
  }
}

TEST(Mask, NeverHoldsSpecialOrSuppressedTokens) {
  const text::Tokenizer tokenizer = tiny_tokenizer();
  const std::int32_t letter = *tokenizer.find("e");
  const std::vector<std::int32_t> suppressed = {letter, *tokenizer.find("<eos>")};
  // "e" has the byte token <0x65> beside it, so nothing becomes impossible.
  const auto vocabulary = Vocabulary::build(tokenizer, suppressed);
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  const Schema schema = compile_or_die(R"({"type":"string","maxLength":50})", *vocabulary);
  ConstraintState state = schema.begin();
  ASSERT_TRUE(state.advance(*tokenizer.find("\"")));
  EXPECT_FALSE(allows(state, letter));
  EXPECT_TRUE(allows(state, *tokenizer.find("<0x65>")));
  for (std::size_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const auto token = static_cast<std::int32_t>(id);
    if (tokenizer.kind(token) != text::TokenKind::kSpecial) continue;
    EXPECT_FALSE(allows(state, token)) << id;
  }
}

TEST(Mask, RefusesAVocabularyThatLacksAByte) {
  const text::Tokenizer tokenizer = word_tokenizer({});
  const std::vector<std::int32_t> both = {*tokenizer.find("{"), *tokenizer.find("<0x7B>")};
  const auto lacking = Vocabulary::build(tokenizer, both);
  ASSERT_TRUE(lacking) << lacking.error().message;  // free text does without
  const auto refused = Schema::compile(R"({"type":"boolean"})", *lacking, wide_limits());
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("0x7B"), std::string::npos) << refused.error().message;
  const std::vector<std::int32_t> outside = {99'999};
  const auto wrong = Vocabulary::build(tokenizer, outside);
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("99999"), std::string::npos) << wrong.error().message;
}

TEST(Mask, ReachesOverIdsWithoutAToken) {
  const text::Tokenizer tokenizer = tiny_tokenizer();
  const std::size_t n_ids = tokenizer.vocab_size() + 40;
  const std::vector<std::int32_t> suppressed = {static_cast<std::int32_t>(n_ids) - 1};
  const auto vocabulary = Vocabulary::build(tokenizer, suppressed, n_ids);
  ASSERT_TRUE(vocabulary) << vocabulary.error().message;
  const ConstraintState state =
      compile_or_die(R"({"type":"string","maxLength":5})", *vocabulary).begin();
  EXPECT_EQ(state.vocabulary_size(), n_ids);
  EXPECT_EQ(state.mask()->size(), (n_ids + 31) / 32);
  for (std::size_t id = tokenizer.vocab_size(); id < n_ids; ++id)
    EXPECT_FALSE(allows(state, static_cast<std::int32_t>(id))) << id;
}

TEST(Mask, IsFoundAgainDeepInsideAString) {
  const auto vocabulary = tiny_vocabulary();
  const Schema schema = compile_or_die(
      R"({"type":"object","properties":{"a":{"type":"string","maxLength":500}}})", vocabulary);
  ConstraintState state = schema.begin();
  ASSERT_TRUE(advance_text(state, vocabulary->tokenizer(), R"({"a":")"));
  const auto first = state.mask();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(advance_text(state, vocabulary->tokenizer(), "x"));
    ASSERT_EQ(state.mask(), first) << i;  // the same memory: nothing was computed
  }
  // Near the limit the long tokens fall away.
  for (int i = 0; i < 299; ++i) ASSERT_TRUE(advance_text(state, vocabulary->tokenizer(), "x"));
  EXPECT_NE(*state.mask(), *first);
}

TEST(Mask, CacheGivesUpTheOldestAndStaysRight) {
  const auto vocabulary = tiny_vocabulary();
  const auto built = compile_automaton(
      nlohmann::ordered_json::parse(R"({"type":"integer","minimum":0,"maximum":900000})"), {});
  ASSERT_TRUE(built);
  // 16 entries at least; this range has a place of its own for each beginning of a number.
  MaskCache cache(MaskCache::kMaxBytes);
  for (int round = 0; round < 2; ++round) {
    for (int first = 1; first <= 9; ++first) {
      for (char second = '0'; second <= '9'; ++second) {
        Cursor cursor = built->automaton.start();
        ASSERT_TRUE(built->automaton.step(cursor, static_cast<std::uint8_t>('0' + first)));
        ASSERT_TRUE(built->automaton.step(cursor, static_cast<std::uint8_t>(second)));
        ASSERT_EQ(*cache.find(built->automaton, *vocabulary, cursor),
                  compute_mask(built->automaton, *vocabulary, cursor));
      }
    }
  }
}

// The full size of the published vocabulary.
TEST(Mask, IsExactOver262144Tokens) {
  const text::Tokenizer tokenizer = random_tokenizer(262'144, 5);
  const auto vocabulary = vocabulary_of(tokenizer);
  ASSERT_EQ(vocabulary->size(), 262'144u);
  const Schema schema = compile_or_die(
      R"({"type":"object","properties":{
          "a":{"type":"string","minLength":2,"maxLength":30},
          "b":{"type":"array","maxItems":4,"items":{"type":"string","maxLength":3}},
          "c":{"enum":["ca","cb","d"]}}})",
      vocabulary);
  for (const char* text :
       {"", R"({"a":")", R"({"a":"x)", R"({"a":"x\)", R"({"a":"xyxyxyxyxyxyxyxyxyxyxyxyxyx)",
        R"({"a":"xx","b":["ab)", R"({"a":"xx","b":[],"c":")"}) {
    SCOPED_TRACE(text);
    ConstraintState state = schema.begin();
    for (const char* byte = text; *byte != 0; ++byte) {
      const auto id = tokenizer.find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(*byte)));
      ASSERT_TRUE(state.advance(*id));
    }
    expect_exact_mask(state, *vocabulary);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace preflight::generate
