// What an answer says of its choices against the row of logits behind them: for a few literals,
// whose logits the device picks, and for so many that the whole row is read.

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/generate/constraint.h"
#include "shaders/params/softmax.h"
#include "tests/engine/golden.h"

namespace preflight::engine {
namespace {

class ChoiceReadings : public testing::TestWithParam<std::size_t> {
 protected:
  /// An enumeration of words that are tokens.
  static std::string schema_of_words(const Engine& engine, std::size_t n_words) {
    std::set<std::string> words;
    for (std::size_t id = 0; id < engine.vocabulary()->size() && words.size() < n_words; id++) {
      const auto word = engine.vocabulary()->token_bytes(static_cast<std::int32_t>(id));
      const auto is_letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == ' ';
      };
      if (!word.empty() && std::all_of(word.begin(), word.end(), is_letter)) words.emplace(word);
    }
    EXPECT_EQ(words.size(), n_words);
    std::string schema;
    for (const std::string& word : words)
      schema += (schema.empty() ? "{\"enum\": [\"" : ", \"") + word + "\"";
    return schema + "]}";
  }
};

TEST_P(ChoiceReadings, AreThoseOfTheRow) {
  EngineOptions options;
  options.model = golden() / "models/tiny";
  auto engine = Engine::load(options);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  const auto schema =
      generate::Schema::compile(schema_of_words(**engine, GetParam()), (*engine)->vocabulary(), {});
  ASSERT_TRUE(schema.has_value()) << schema.error().message;
  generate::ConstraintState state = schema->begin();
  const std::int32_t quote = (*engine)->tokenizer().find("\"").value();
  ASSERT_TRUE(state.advance(quote));
  const auto choice = state.choice();
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->tokens.size() > params::kSoftmaxTokens, GetParam() > params::kSoftmaxTokens);

  const std::vector<Input> prompt = {{.token = 5}, {.token = 17}};
  const Input last{.token = quote};
  const auto sequence = (*engine)->open();
  ASSERT_TRUE(sequence && (*engine)->prefill(*sequence, prompt));
  const auto fork = (*engine)->fork(*sequence);
  ASSERT_TRUE(fork.has_value());
  std::vector<double> row;
  const std::uint32_t wanted = 0;
  ASSERT_TRUE((*engine)->logits(*fork, {&last, 1}, {&wanted, 1},
                                [&](std::uint32_t, std::span<const float> logits) {
                                  row.assign(logits.begin(), logits.end());
                                }));
  double all = 0;
  for (const double logit : row) all += std::exp(logit);
  double allowed = 0;
  std::vector<double> logits;
  for (const generate::ChoiceToken& token : choice->tokens) {
    logits.push_back(row.at(static_cast<std::size_t>(token.id)));
    allowed += std::exp(logits.back()) / all;
  }
  std::partial_sort(logits.begin(), logits.begin() + 2, logits.end(), std::greater<>());

  ASSERT_TRUE((*engine)->prefill(*sequence, {&last, 1}));
  const std::vector<GenerateRow> rows = {{.sequence = *sequence, .constraint = state}};
  const auto answers = (*engine)->generate(rows);
  ASSERT_TRUE(answers.has_value()) << answers.error().message;
  const auto& choices = answers->front().choices;
  ASSERT_EQ(choices.size(), 1u);
  // A prompt's row and an answer's may add in different orders.
  EXPECT_NEAR(choices[0].outcome.outside, 1 - allowed, 1e-4);
  EXPECT_NEAR(choices[0].margin, logits[0] - logits[1], 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Words, ChoiceReadings, testing::Values(3, 300));

}  // namespace
}  // namespace preflight::engine
