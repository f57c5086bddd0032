#include "engine/text/answer.h"

#include "tests/text/golden_tokenizer.h"

namespace preflight::text {
namespace {

/// The answer to a text whose special tokens are parsed, checked to be the same token by token.
Answer answer_to(std::string_view text, bool starts_in_thought = false) {
  const Tokenizer tokenizer = golden_tokenizer();
  return split_answer(tokenizer, tokenizer.encode(text, true), starts_in_thought);
}

void expect_answer(std::string_view text, std::string_view content, std::string_view thought,
                   bool starts_in_thought = false) {
  const Answer answer = answer_to(text, starts_in_thought);
  EXPECT_EQ(answer.content, content) << text;
  EXPECT_EQ(answer.thought, thought) << text;
}

TEST(AnswerTest, ContentIsVerbatim) {
  expect_answer("\n Hello,\nworld \n", "\n Hello,\nworld \n", "");
  expect_answer("The end.<turn|>", "The end.", "");
  expect_answer("a<eos>b<turn|>c", "a", "");
  expect_answer("", "", "");
}

TEST(AnswerTest, ThoughtsAreTakenOut) {
  expect_answer("<|channel>thought\nLet me see.\n<channel|>42", "42", "Let me see.");
  expect_answer("Let me see.\n<channel|>\n\n42\n", "42\n", "Let me see.", true);
  expect_answer("<|channel>thought\n<channel|>42", "42", "");
  expect_answer("<|channel>thought<channel|>42", "42", "");
  expect_answer("<|channel>thought\n\n\na\n\n<channel|>b", "b", "\na\n");
  expect_answer("<|channel>plan\nx<channel|>y", "y", "x");
  expect_answer("<|channel>no newline<channel|>y", "y", "no newline");
  expect_answer("a<|channel>thought\nb<channel|>c<|channel>thought\nd<channel|>e", "ace", "b\nd");
}

TEST(AnswerTest, AnUnclosedThoughtIsAllThought) {
  expect_answer("<|channel>thought\nstill thinking", "", "still thinking");
  expect_answer("still thinking<turn|>", "", "still thinking", true);
}

TEST(AnswerTest, StrayMarkersAreDropped) {
  expect_answer("a<channel|>b<tool_call|>c", "abc", "");
  expect_answer("<|channel>thought\na<|channel>b<channel|>c", "c", "ab");
  expect_answer("say <|\"|>x<|\"|>", "say \"x\"", "");
}

TEST(AnswerTest, CallsStayAsTheModelWroteThem) {
  const std::string call = "<|tool_call>call:f{a:<|\"|>x<|\"|>}<tool_call|>";
  expect_answer("<|channel>thought\nhm<channel|>" + call + "<|tool_response>", call, "hm");
  expect_answer("hm" + call + "ok", call + "ok", "hm", true);
}

TEST(AnswerTest, SpelledMarkersAreText) {
  const Tokenizer tokenizer = golden_tokenizer();
  const std::string text = "<|channel>thought\nx<channel|><turn|>y";
  EXPECT_EQ(split_answer(tokenizer, tokenizer.encode(text, false), false).content, text);
}

TEST(AnswerTest, CharactersArriveWhole) {
  const Tokenizer tokenizer = golden_tokenizer();
  const auto byte = [&](const char* spelling) { return tokenizer.find(spelling).value(); };
  AnswerSplitter splitter(tokenizer, false);
  EXPECT_EQ(splitter.push(byte("<0xE2>")).content, "");
  EXPECT_EQ(splitter.push(byte("<0x82>")).content, "");
  EXPECT_EQ(splitter.push(byte("<0xAC>")).content, "\xE2\x82\xAC");
  EXPECT_EQ(splitter.push(byte("<0xE2>")).content, "");
  EXPECT_EQ(splitter.finish().content, "\xEF\xBF\xBD");
}

}  // namespace
}  // namespace preflight::text
