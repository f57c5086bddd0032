#include <algorithm>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/text/utf8.h"
#include "tests/generate/test_support.h"
#include "tests/generate/validator.h"

namespace preflight::generate {
namespace {

using Json = nlohmann::ordered_json;

bool has_numbers(const Json& value) {
  if (value.is_number_float()) return true;
  return value.is_structured() && std::any_of(value.begin(), value.end(), has_numbers);
}

// Whatever the model prefers, the answer ends within its bounds and is a canonical, valid value.
void expect_good_walks(const std::shared_ptr<const Vocabulary>& vocabulary, int n_walks) {
  std::mt19937 random(7);
  for (const auto& [name, text] : sample_schemas()) {
    const Json schema_json = Json::parse(text);
    const Schema schema = compile_or_die(text, vocabulary);
    for (int i = 0; i < n_walks; ++i) {
      const Taste taste = kTastes[static_cast<std::size_t>(i) % std::size(kTastes)];
      const Walk result = walk(schema, *vocabulary, taste, /*force=*/i % 4 == 3, random);
      ASSERT_EQ(result.error, "") << name << ": " << result.text;
      ASSERT_LE(result.n_tokens, schema.longest_answer_tokens()) << name << ": " << result.text;
      ASSERT_TRUE(text::is_well_formed(result.text)) << name << ": " << result.text;
      const Json value = Json::parse(result.text, nullptr, /*allow_exceptions=*/false);
      ASSERT_FALSE(value.is_discarded()) << name << ": " << result.text;
      ASSERT_EQ(why_invalid(schema_json, value), "") << name << ": " << result.text;
      // Canonical: writing the value again gives the same bytes. (Decimals are written in full
      // here, with an exponent there.)
      ASSERT_TRUE(has_numbers(value) || value.dump() == result.text) << name << ": " << result.text;
      const auto chars = static_cast<std::size_t>(std::count_if(
          result.text.begin(), result.text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
      ASSERT_LE(chars, schema.longest_answer_chars()) << name << ": " << result.text;
    }
  }
}

TEST(Walk, TinyTokenizerEndsInValidAnswers) { expect_good_walks(tiny_vocabulary(), 240); }

TEST(Walk, WordTokenizerEndsInValidAnswers) {
  expect_good_walks(vocabulary_of(word_tokenizer({"{\"",
                                                  "\":\"",
                                                  "\",\"",
                                                  "\"},{\"",
                                                  "\"yes\"}",
                                                  "\"no",
                                                  "not_",
                                                  "\":[",
                                                  "]},",
                                                  "true,\"",
                                                  "null}",
                                                  "12",
                                                  "1.5",
                                                  "f000",
                                                  "\\n",
                                                  "\\\"",
                                                  "the answer",
                                                  "\xC3\xA9\xC3\xA8",
                                                  "\xE4\xB8\x96",
                                                  "\"\",\"",
                                                  "[[",
                                                  "]]",
                                                  "\"]",
                                                  "\\\\\"",
                                                  "\"same\",\"same\""})),
                    240);
}

TEST(Walk, BoundIsReachedWhereEveryTokenIsOneCharacter) {
  const auto vocabulary = vocabulary_of(word_tokenizer({}));
  std::mt19937 random(3);
  for (const char* text :
       {R"({"type":"string","minLength":8,"maxLength":8})", R"({"enum":["abcd","abce"]})",
        R"({"type":"array","minItems":3,"maxItems":3,"items":{"type":"string","minLength":4,
           "maxLength":4}})"}) {
    const Schema schema = compile_or_die(text, vocabulary);
    const Walk result = walk(schema, *vocabulary, Taste::kNoQuote, /*force=*/false, random);
    EXPECT_EQ(result.n_tokens, schema.longest_answer_tokens()) << text << result.text;
  }
}

TEST(Walk, StringsCountCharactersAndTokens) {
  const auto vocabulary = vocabulary_of(word_tokenizer({}));
  const Schema schema =
      compile_or_die(R"({"type":"string","minLength":2,"maxLength":4})", vocabulary);
  const text::Tokenizer& tokenizer = vocabulary->tokenizer();
  EXPECT_TRUE(accepts(schema, tokenizer, R"("ab")"));
  EXPECT_TRUE(accepts(schema, tokenizer, R"("abcd")"));
  EXPECT_TRUE(accepts(schema, tokenizer, R"("a\n")"));
  EXPECT_FALSE(accepts(schema, tokenizer, R"("a")"));
  EXPECT_FALSE(accepts(schema, tokenizer, R"("abcde")"));
  // Four tokens are one character of four bytes, and a second character is still missing.
  EXPECT_FALSE(accepts(schema, tokenizer, "\"\xF0\x9F\x98\x80\""));
  // Three tokens for one character leave one for the other.
  EXPECT_TRUE(accepts(schema, tokenizer, "\"\xE4\xB8\x96z\""));
  EXPECT_TRUE(accepts(schema, tokenizer, "\"z\xE4\xB8\x96\""));
  EXPECT_FALSE(accepts(schema, tokenizer, "\"zz\xE4\xB8\x96\""));
}

TEST(Walk, StringsAreCanonicalText) {
  const auto vocabulary = tiny_vocabulary();
  const Schema schema = compile_or_die(R"({"type":"string","maxLength":40})", vocabulary);
  const text::Tokenizer& tokenizer = vocabulary->tokenizer();
  for (const char* good :
       {R"("")", R"("\"\\\b\f\n\r\t")", "\"\xC3\xA9 \xE4\xB8\x96 \xF0\x9F\x99\x82\"",
        "\"\xF4\x8F\xBF\xBF\"", "\"\xED\x9F\xBF\xEE\x80\x80\"", R"("/ ' & <")"}) {
    EXPECT_TRUE(accepts(schema, tokenizer, good)) << good;
  }
  for (const char* bad :
       {R"("\/")", R"("\u0041")", R"("\ud83d\ude42")", R"("\ud83d")", R"("\x")", "\"\n\"", "\"\t\"",
        "\"\x7F\"", "\"\xC2\x85\"", R"("a)", R"("a" )", R"( "a")", R"("a"b)", "a", ""}) {
    EXPECT_FALSE(accepts(schema, tokenizer, bad)) << bad;
  }
  // Ill-formed UTF-8, byte by byte: the tokenizer would not give these tokens for any text.
  for (const std::string_view bad :
       {"\xC0\xAF", "\xC1\x80", "\xE0\x80\x80", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xED\xBF\xBF",
        "\xF0\x80\x80\x80", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\x80",
        "\xC3\"", "\xE4\xB8\"", "\xC3\xC3", "\xFF"}) {
    ConstraintState state = schema.begin();
    ASSERT_TRUE(state.advance(*tokenizer.find("\"")));
    bool moved = true;
    for (const char byte : bad) {
      const auto id = tokenizer.find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte)));
      moved = moved && state.advance(*id).has_value();
    }
    EXPECT_FALSE(moved) << bad.size();
  }
}

TEST(Walk, AdvanceNamesTheTokenAndLeavesTheState) {
  const auto vocabulary = tiny_vocabulary();
  const text::Tokenizer& tokenizer = vocabulary->tokenizer();
  const Schema schema = compile_or_die(R"({"type":"boolean"})", vocabulary);
  ConstraintState state = schema.begin();
  const std::int32_t brace = *tokenizer.find("{");
  const auto moved = state.advance(brace);
  ASSERT_FALSE(moved);
  EXPECT_EQ(moved.error().code, ErrorCode::kInternal);
  EXPECT_NE(moved.error().message.find(fmt::format("token {} (\"{{\")", brace)), std::string::npos)
      << moved.error().message;
  EXPECT_FALSE(state.advance(-1));
  EXPECT_FALSE(state.advance(static_cast<std::int32_t>(tokenizer.vocab_size())));
  EXPECT_TRUE(advance_text(state, tokenizer, "true"));
  EXPECT_TRUE(state.done());
  EXPECT_FALSE(state.advance(brace));
  EXPECT_TRUE(allowed_tokens(state).empty());
  EXPECT_TRUE(state.forced().empty());
}

TEST(Walk, ANumberAtTheRootMayStopOrGoOn) {
  const auto vocabulary = tiny_vocabulary();
  const Schema schema =
      compile_or_die(R"({"type":"integer","minimum":1,"maximum":12})", vocabulary);
  ConstraintState state = schema.begin();
  EXPECT_FALSE(state.can_stop());
  ASSERT_TRUE(advance_text(state, vocabulary->tokenizer(), "1"));
  EXPECT_TRUE(state.can_stop());
  EXPECT_FALSE(state.done());
  EXPECT_TRUE(state.forced().empty());
  ASSERT_TRUE(advance_text(state, vocabulary->tokenizer(), "2"));
  EXPECT_TRUE(state.done());
}

}  // namespace
}  // namespace preflight::generate
