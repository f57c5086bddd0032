#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/text/utf8.h"
#include "tests/generate/test_support.h"

namespace preflight::generate {
namespace {

std::string spell(const text::Tokenizer& tokenizer, std::span<const std::int32_t> ids) {
  std::string text;
  for (const std::int32_t id : ids) text += tokenizer.token_bytes(id);
  return text;
}

TEST(Forced, GivesTheKeysUpToTheChoice) {
  // No token joins a quote with a letter, so every border between them is safe.
  const text::Tokenizer tokenizer = word_tokenizer({"answer", "\":\"", "{\""});
  const Schema schema = compile_or_die(
      R"({"type":"object","properties":{"answer":{"enum":["yes","no"]},"n":{"type":"integer"}}})",
      vocabulary_of(tokenizer));
  ConstraintState state = schema.begin();
  const auto forced = state.forced();
  EXPECT_EQ(spell(tokenizer, forced), R"({"answer":")");
  EXPECT_EQ(forced, tokenizer.encode(R"({"answer":")", false));
  for (const std::int32_t id : forced) ASSERT_TRUE(state.advance(id));
  EXPECT_TRUE(state.forced().empty()) << "a choice is open";
  ASSERT_TRUE(advance_text(state, tokenizer, "y"));
  EXPECT_EQ(spell(tokenizer, state.forced()), R"(es","n":)");
}

TEST(Forced, StopsBeforeATokenThatMayReachAcross) {
  // The colon and quote may become one token with the first letter of "yes", not of "no".
  const text::Tokenizer tokenizer = word_tokenizer({"\":\"", "\":\"y", "answer"});
  const auto vocabulary = vocabulary_of(tokenizer);
  const auto forced_of = [&](const char* literals) {
    const Schema schema = compile_or_die(
        fmt::format(R"({{"type":"object","properties":{{"answer":{{"enum":{}}}}}}})", literals),
        vocabulary);
    return spell(tokenizer, schema.begin().forced());
  };
  EXPECT_EQ(forced_of(R"(["yes","no"])"), R"({"answer)");
  EXPECT_EQ(forced_of(R"(["maybe","no"])"), R"({"answer":")");
  EXPECT_EQ(forced_of(R"(["only"])"), R"({"answer":"only"})");
}

TEST(Forced, ClosesAFullStringAndEndsTheAnswer) {
  const text::Tokenizer tokenizer = word_tokenizer({});
  const Schema schema = compile_or_die(
      R"({"type":"array","minItems":1,"maxItems":1,"items":{"type":"string","maxLength":2}})",
      vocabulary_of(tokenizer));
  ConstraintState state = schema.begin();
  EXPECT_EQ(spell(tokenizer, state.forced()), "[\"");
  ASSERT_TRUE(advance_text(state, tokenizer, "[\"ab"));
  const auto forced = state.forced();
  EXPECT_EQ(spell(tokenizer, forced), "\"]");
  for (const std::int32_t id : forced) ASSERT_TRUE(state.advance(id));
  EXPECT_TRUE(state.done());
}

TEST(Spelled, LeadsThroughEachLiteralOfAChoice) {
  const text::Tokenizer words = word_tokenizer({"yes", "{\"a\":\"", "\",\"", "\"}", "ye"});
  for (const auto& vocabulary : {tiny_vocabulary(), vocabulary_of(words)}) {
    const Schema schema = compile_or_die(
        R"({"type":"object","properties":{"a":{"enum":["yes","no","yes, but","yet",12,1,null]},
            "b":{"type":"boolean"}}})",
        vocabulary);
    ConstraintState state = schema.begin();
    std::string begun;
    for (const std::int32_t id : state.forced()) {
      begun += vocabulary->token_bytes(id);
      ASSERT_TRUE(state.advance(id));
    }
    const auto choice = state.choice();
    ASSERT_TRUE(choice);
    ASSERT_EQ(choice->literals.size(), 7u);
    for (std::size_t i = 0; i < choice->literals.size(); i++) {
      ConstraintState at = state;
      std::string text = begun;
      for (const std::int32_t id : state.spell(i)) {
        ASSERT_TRUE(at.advance(id)) << text;
        text += vocabulary->token_bytes(id);
      }
      const std::string whole = "{\"a\":" + choice->literals[i].json + ",\"b\":";
      EXPECT_EQ(text, whole.substr(0, text.size()));
      EXPECT_GT(text.size(), begun.size());
    }
  }
}

TEST(Forced, LeavesTextWithTheSpaceSymbolToTheMasks) {
  // The tokenizer would read U+2581 as a space and give the tokens of another text.
  const auto vocabulary = tiny_vocabulary();
  const Schema schema = compile_or_die("{\"const\":\"a\xE2\x96\x81z\"}", vocabulary);
  std::mt19937 random(1);
  EXPECT_TRUE(schema.begin().forced().empty());
  const Walk result = walk(schema, *vocabulary, Taste::kRandom, /*force=*/true, random);
  EXPECT_EQ(result.error, "");
  EXPECT_EQ(result.text, "\"a\xE2\x96\x81z\"");
}

// The promise: whatever allowed text comes after forced text, the tokenizer's own encoding of both
// together begins with the forced ids.
void expect_stable_borders(const text::Tokenizer& tokenizer, int n_walks, bool expect_some) {
  const auto vocabulary = vocabulary_of(tokenizer);
  std::mt19937 random(23);
  std::size_t n_forced = 0;
  for (const auto& [name, text] : sample_schemas()) {
    const Schema schema = compile_or_die(text, vocabulary);
    for (int i = 0; i < n_walks; ++i) {
      const Taste taste = kTastes[static_cast<std::size_t>(i) % std::size(kTastes)];
      ConstraintState state = schema.begin();
      for (int step = 0; step < 40 && !state.done(); ++step) {
        const auto forced = state.forced();
        if (!forced.empty()) {
          ++n_forced;
          ConstraintState next = state;
          for (const std::int32_t id : forced) {
            ASSERT_TRUE(allows(next, id)) << name;
            ASSERT_TRUE(next.advance(id)) << name;
          }
          // Ways on from here, up to several tokens long.
          for (int way = 0; way < 6; ++way) {
            ConstraintState after = next;
            std::string whole = spell(tokenizer, forced);
            for (int more = 0; more < 5 && !after.done(); ++more) {
              const auto tokens = allowed_tokens(after);
              const std::int32_t id = tokens[random() % tokens.size()];
              whole += tokenizer.token_bytes(id);
              ASSERT_TRUE(after.advance(id));
              if (!text::is_well_formed(whole)) continue;
              const auto ids = tokenizer.encode(whole, false);
              ASSERT_GE(ids.size(), forced.size()) << name << ": " << whole;
              ASSERT_TRUE(std::equal(forced.begin(), forced.end(), ids.begin()))
                  << name << ": " << whole;
            }
          }
        }
        const auto tokens = allowed_tokens(state);
        if (tokens.empty()) break;
        std::size_t index = random() % tokens.size();
        if (taste == Taste::kLowest) index = 0;
        if (taste == Taste::kHighest) index = tokens.size() - 1;
        ASSERT_TRUE(state.advance(tokens[index]));
      }
    }
  }
  EXPECT_GT(n_forced, expect_some ? 100u : 0u);
}

TEST(Forced, TinyKeepsItsTokens) { expect_stable_borders(tiny_tokenizer(), 6, true); }

TEST(Forced, TokensAcrossPunctuationKeepTheirs) {
  expect_stable_borders(
      word_tokenizer({"{\"",    "\":\"",   "\",\"", "\"},{\"",   "\"yes\"}", "\"no",
                      "\":[",   "]},",     "e\":",  "true,\"",   "null}",    "n\":\"f",
                      "\"a",    "\"\",\"", "[[",    "]]",        "\"]",      "\"same\",\"same\"",
                      "x\",\"", "1,",      "]}",    "quote\":\""}),
      6, true);
}

TEST(Forced, RandomVocabularyKeepsItsTokens) {
  for (std::uint32_t seed = 0; seed < 4; ++seed) {
    expect_stable_borders(random_tokenizer(1500, seed), 3, false);
  }
}

}  // namespace
}  // namespace preflight::generate
