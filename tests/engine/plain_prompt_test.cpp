// Prompts for measurements: wherever a vocabulary has its special tokens, they meet none.

#include "engine/plain_prompt.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "engine/generate/vocabulary.h"
#include "engine/text/tokenizer.h"

namespace preflight::engine {
namespace {

/// Special tokens, bytes, letters and ids never used, in any order.
text::TokenizerData shuffled_tokens(std::uint32_t seed) {
  text::TokenizerData in_order;
  const auto add = [&](std::string spelling, text::TokenKind kind) {
    in_order.tokens.push_back(std::move(spelling));
    in_order.kinds.push_back(kind);
  };
  for (const char* const special : {"<bos>", "<eos>", "<|turn>", "<turn|>", "<image|>"})
    add(special, text::TokenKind::kSpecial);
  // As some files have them: placeholders among the words.
  for (const char* const placeholder : {"<|image|>", "<|audio|>", "<|video|>"})
    add(placeholder, text::TokenKind::kNormal);
  for (int byte = 0; byte < 256; byte++)
    add(fmt::format("<0x{:02X}>", byte), text::TokenKind::kByte);
  for (char letter = 'a'; letter <= 'z'; letter++)
    add(std::string(1, letter), text::TokenKind::kNormal);
  for (int i = 0; i < 40; i++) add(fmt::format("<unused{}>", i), text::TokenKind::kUnused);

  std::vector<std::size_t> order(in_order.tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));
  text::TokenizerData shuffled;
  for (const std::size_t from : order) {
    shuffled.tokens.push_back(in_order.tokens[from]);
    shuffled.kinds.push_back(in_order.kinds[from]);
  }
  return shuffled;
}

TEST(PlainPrompt, IsTextWhereverSpecialTokensStand) {
  for (std::uint32_t seed = 0; seed < 20; seed++) {
    const auto tokenizer = text::Tokenizer::create(shuffled_tokens(seed));
    ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
    const std::vector<std::int32_t> suppressed = {
        *tokenizer->find("<|image|>"), *tokenizer->find("<|audio|>"), *tokenizer->find("<|video|>"),
        *tokenizer->find("q")};
    // Some ids of the model have no token at all.
    const auto vocabulary =
        generate::Vocabulary::build(*tokenizer, suppressed, tokenizer->vocab_size() + 100);
    ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
    const auto inputs = plain_prompt(**vocabulary, 1000, seed);
    ASSERT_TRUE(inputs.has_value()) << inputs.error().message;
    ASSERT_EQ(inputs->size(), 1000u);
    std::set<std::int32_t> met;
    for (const Input& input : *inputs) {
      const text::TokenKind kind = tokenizer->kind(input.token);
      ASSERT_TRUE(kind == text::TokenKind::kNormal || kind == text::TokenKind::kByte)
          << tokenizer->token_bytes(input.token);
      ASSERT_EQ(std::ranges::count(suppressed, input.token), 0)
          << tokenizer->token_bytes(input.token);
      met.insert(input.token);
    }
    // From all over the vocabulary: every other letter, and the bytes that are text by themselves.
    for (char letter = 'a'; letter <= 'z'; letter++)
      EXPECT_EQ(met.count(*tokenizer->find(std::string(1, letter))), letter == 'q' ? 0u : 1u);
    EXPECT_GT(met.size(), 100u);
  }
}

TEST(PlainPrompt, FollowsFromItsSeed) {
  const auto tokenizer = text::Tokenizer::create(shuffled_tokens(1));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  const auto vocabulary = generate::Vocabulary::build(*tokenizer, {});
  ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
  const auto ids = [&](std::uint32_t seed) {
    const auto inputs = plain_prompt(**vocabulary, 50, seed);
    EXPECT_TRUE(inputs.has_value());
    std::vector<std::int32_t> out;
    for (const Input& input : *inputs) out.push_back(input.token);
    return out;
  };
  EXPECT_EQ(ids(3), ids(3));
  EXPECT_NE(ids(3), ids(4));
}

TEST(PlainPrompt, NeedsAPlainToken) {
  const auto tokenizer = text::Tokenizer::create(shuffled_tokens(1));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  std::vector<std::int32_t> all(tokenizer->vocab_size());
  std::iota(all.begin(), all.end(), 0);
  const auto vocabulary = generate::Vocabulary::build(*tokenizer, all);
  ASSERT_TRUE(vocabulary.has_value()) << vocabulary.error().message;
  const auto refused = plain_prompt(**vocabulary, 1, 0);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace preflight::engine
