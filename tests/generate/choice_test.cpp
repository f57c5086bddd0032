#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "engine/generate/choice_reader.h"
#include "engine/reference/softmax.h"
#include "tests/generate/test_support.h"

namespace preflight::generate {
namespace {

// A row of logits whose softmax gives these tokens these shares, and nothing to all others.
std::vector<float> row(const text::Tokenizer& tokenizer,
                       const std::map<std::string, double>& shares) {
  std::vector<float> logits(tokenizer.vocab_size(), -std::numeric_limits<float>::infinity());
  for (const auto& [spelling, share] : shares) {
    logits[static_cast<std::size_t>(tokenizer.find(spelling).value())] =
        static_cast<float>(std::log(share)) + 3.0f;  // a softmax does not see the constant
  }
  return logits;
}

// What the device would say of the row.
Result<void> read_row(ChoiceReader& reader, const ConstraintState& state,
                      const std::vector<float>& logits, std::int32_t token, std::int32_t stop) {
  const std::optional<Choice> choice = state.choice();
  if (!choice) return {};
  const std::vector<std::uint32_t> tokens = choice_tokens(*choice, {&stop, 1});
  if (tokens.size() > params::kSoftmaxTokens) return fail(ErrorCode::kInternal, "too many tokens");
  const params::SoftmaxQuery query{.row = 0, .n_tokens = static_cast<std::uint32_t>(tokens.size())};
  const auto n_logits = static_cast<std::uint32_t>(logits.size());
  params::SoftmaxSum sum{};
  std::vector<float> picked(tokens.size());
  reference::softmax(logits, {&query, 1}, tokens, {&sum, 1}, picked,
                     {.vocab_size = n_logits, .logits_stride = n_logits});
  return reader.read(*choice, sum, picked, token);
}

class ChoiceTest : public testing::Test {
 protected:
  void open(const char* schema) {
    state_ = compile_or_die(schema, vocabulary_).begin();
    reader_ = ChoiceReader({stop_});
  }

  // One step of the generation loop: the row is read, then the token is taken.
  void take(const std::map<std::string, double>& shares, const std::string& spelling) {
    const std::int32_t id = tokenizer_.find(spelling).value();
    const auto read = read_row(reader_, *state_, row(tokenizer_, shares), id, stop_);
    ASSERT_TRUE(read) << read.error().message;
    ASSERT_TRUE(id == stop_ || state_->advance(id)) << spelling;
  }

  ChoiceOutcome only_outcome() {
    std::vector<ChoiceOutcome> outcomes = reader_.take();
    EXPECT_EQ(outcomes.size(), 1u);
    if (outcomes.size() != 1) return {};
    double total = outcomes[0].outside + outcomes[0].lost;
    for (const auto& literal : outcomes[0].literals) total += literal.probability;
    EXPECT_NEAR(total, 1.0, 1e-6);
    return outcomes[0];
  }

  static const LiteralProbability& find(const ChoiceOutcome& outcome, const std::string& json) {
    for (const auto& literal : outcome.literals) {
      if (literal.json == json) return literal;
    }
    ADD_FAILURE() << "no literal " << json;
    return outcome.literals.front();
  }

  text::Tokenizer tokenizer_ = word_tokenizer({"yes", "no", "not", "\"no", "\"}", "0,"});
  std::shared_ptr<const Vocabulary> vocabulary_ = vocabulary_of(tokenizer_);
  std::int32_t stop_ = tokenizer_.find("<end>").value();
  std::optional<ConstraintState> state_;
  ChoiceReader reader_{{}};
};

TEST_F(ChoiceTest, ListsTheLiteralsAndTheTokensThatBeginThem) {
  open(R"({"type":"object","properties":{"a~/b":{"enum":["yes","no","not"]}}})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, R"({"a~/b":)"));
  const auto choice = state_->choice();
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->pointer, "/a~0~1b");
  ASSERT_EQ(choice->literals.size(), 3u);
  EXPECT_EQ(choice->literals[0].json, "\"no\"");
  EXPECT_EQ(choice->literals[0].schema_index, 1u);
  EXPECT_EQ(choice->literals[1].json, "\"not\"");
  EXPECT_EQ(choice->literals[2].json, "\"yes\"");
  std::map<std::string, std::pair<std::uint32_t, std::uint32_t>> begun;
  for (const ChoiceToken& token : choice->tokens) {
    begun[tokenizer_.token_bytes(token.id) + (token.id < 257 ? "byte" : "")] = {token.begin,
                                                                                token.end};
  }
  const decltype(begun) expected = {
      {"\"", {0, 3}}, {"\"byte", {0, 3}}, {"\"n", {0, 2}}, {"\"no", {0, 2}}};
  EXPECT_EQ(begun, expected);
}

TEST_F(ChoiceTest, PointsIntoArrays) {
  open(R"({"type":"array","minItems":2,"items":{"type":"array","minItems":1,"items":
       {"type":"object","properties":{"k":{"type":"boolean"}}}}})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, R"([[{"k":true}],[{"k":false},{"k":)"));
  ASSERT_TRUE(state_->choice());
  EXPECT_EQ(state_->choice()->pointer, "/1/1/k");
  EXPECT_EQ(state_->choice()->literals[0].json, "false");
  EXPECT_EQ(state_->choice()->literals[0].schema_index, 0u);
  EXPECT_EQ(state_->choice()->literals[1].schema_index, 1u);
}

TEST_F(ChoiceTest, IsEmptyWhereNoLiteralIsOpen) {
  open(R"({"type":"object","properties":{"s":{"type":"string"},"c":{"const":"x"}}})");
  EXPECT_FALSE(state_->choice());
  ASSERT_TRUE(advance_text(*state_, tokenizer_, R"({"s":"a)"));
  EXPECT_FALSE(state_->choice());
  ASSERT_TRUE(advance_text(*state_, tokenizer_, R"(","c":")"));
  EXPECT_FALSE(state_->choice());
}

TEST_F(ChoiceTest, OneStepGivesEachLiteralItsTokens) {
  open(R"({"enum":["yes","on","maybe"]})");
  take({{"\"", 1.0}}, "\"");
  EXPECT_TRUE(reader_.take().empty());
  take({{"y", 0.1}, {"ye", 0.1}, {"yes", 0.3}, {"o", 0.2}, {"<0x6D>", 0.05}, {"Y", 0.25}}, "yes");
  const ChoiceOutcome outcome = only_outcome();
  EXPECT_EQ(outcome.literals[outcome.taken].json, "\"yes\"");
  EXPECT_EQ(outcome.literals[outcome.taken].schema_index, 0u);
  EXPECT_NEAR(find(outcome, "\"yes\"").probability, 0.5, 1e-6);
  EXPECT_NEAR(find(outcome, "\"on\"").probability, 0.2, 1e-6);
  EXPECT_NEAR(find(outcome, "\"maybe\"").probability, 0.05, 1e-6);
  EXPECT_NEAR(outcome.outside, 0.25, 1e-6);
  EXPECT_EQ(outcome.lost, 0);
  EXPECT_TRUE(outcome.whole);
  for (const auto& literal : outcome.literals) EXPECT_FALSE(literal.shared);
}

TEST_F(ChoiceTest, SharedBeginningsAreResolvedAtTheNextBranch) {
  open(R"({"enum":["yes","no","not"]})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, "\""));
  // "n" and "no" begin the same two; "not" only one.
  take({{"yes", 0.3}, {"n", 0.1}, {"no", 0.4}, {"not", 0.1}, {"x", 0.1}}, "no");
  EXPECT_TRUE(reader_.take().empty());
  take({{"\"", 0.6}, {"t", 0.2}, {"w", 0.2}}, "\"");
  const ChoiceOutcome outcome = only_outcome();
  EXPECT_EQ(outcome.literals[outcome.taken].json, "\"no\"");
  EXPECT_NEAR(find(outcome, "\"yes\"").probability, 0.3, 1e-6);
  EXPECT_NEAR(find(outcome, "\"no\"").probability, 0.5 * 0.6, 1e-6);
  EXPECT_NEAR(find(outcome, "\"not\"").probability, 0.1 + 0.5 * 0.2, 1e-6);
  EXPECT_NEAR(outcome.outside, 0.1, 1e-6);
  EXPECT_NEAR(outcome.lost, 0.5 * 0.2, 1e-6);
}

TEST_F(ChoiceTest, AGroupNotTakenIsSplitAndMarked) {
  open(R"({"enum":["yes","no","not"]})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, "\""));
  take({{"yes", 0.5}, {"no", 0.4}, {"not", 0.1}}, "yes");
  const ChoiceOutcome outcome = only_outcome();
  EXPECT_NEAR(find(outcome, "\"no\"").probability, 0.2, 1e-6);
  EXPECT_TRUE(find(outcome, "\"no\"").shared);
  EXPECT_NEAR(find(outcome, "\"not\"").probability, 0.3, 1e-6);
  EXPECT_TRUE(find(outcome, "\"not\"").shared);
  EXPECT_FALSE(find(outcome, "\"yes\"").shared);
}

TEST_F(ChoiceTest, ATokenThatAlsoHoldsTheQuoteBranchesEarly) {
  open(R"({"enum":["yes","no"]})");
  take({{"\"", 0.5}, {"\"no", 0.3}, {"{", 0.2}}, "\"");
  take({{"y", 0.9}, {"n", 0.05}, {"z", 0.05}}, "y");
  const ChoiceOutcome outcome = only_outcome();
  EXPECT_NEAR(find(outcome, "\"no\"").probability, 0.3 + 0.5 * 0.05, 1e-6);
  EXPECT_NEAR(find(outcome, "\"yes\"").probability, 0.5 * 0.9, 1e-6);
  EXPECT_NEAR(outcome.outside, 0.2, 1e-6);
  EXPECT_NEAR(outcome.lost, 0.5 * 0.05, 1e-6);
}

TEST_F(ChoiceTest, TokensBehindALiteralCountForIt) {
  open(R"({"type":"object","properties":{"a":{"enum":["no","not"]}}})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, R"({"a":"no)"));
  take({{"\"", 0.5}, {"\"}", 0.25}, {"t", 0.25}}, "\"}");
  EXPECT_NEAR(find(only_outcome(), "\"no\"").probability, 0.75, 1e-6);
  EXPECT_TRUE(state_->done());
}

TEST_F(ChoiceTest, NumbersThatBeginOthersEndByWhatFollows) {
  open(R"({"type":"array","minItems":2,"maxItems":2,"items":{"enum":[1,10,105]}})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, "[1"));
  EXPECT_EQ(state_->choice()->pointer, "/0");
  take({{"0", 0.5}, {",", 0.25}, {"0,", 0.25}}, "0");
  take({{"5", 0.5}, {",", 0.5}}, "5");
  const ChoiceOutcome outcome = only_outcome();
  EXPECT_NEAR(find(outcome, "1").probability, 0.25, 1e-6);
  EXPECT_NEAR(find(outcome, "10").probability, 0.25 + 0.5 * 0.5, 1e-6);
  EXPECT_NEAR(find(outcome, "105").probability, 0.5 * 0.5, 1e-6);
  EXPECT_EQ(outcome.literals[outcome.taken].json, "105");
}

TEST_F(ChoiceTest, StopTokensEndANumberAtTheRoot) {
  open(R"({"enum":[1,12]})");
  take({{"1", 1.0}}, "1");
  EXPECT_TRUE(state_->can_stop());
  take({{"<end>", 0.7}, {"2", 0.2}, {"3", 0.1}}, "<end>");
  const ChoiceOutcome outcome = only_outcome();
  EXPECT_EQ(outcome.literals[outcome.taken].json, "1");
  EXPECT_NEAR(find(outcome, "1").probability, 0.7, 1e-6);
  EXPECT_NEAR(find(outcome, "12").probability, 0.2, 1e-6);
  EXPECT_NEAR(outcome.outside, 0.1, 1e-6);
}

TEST_F(ChoiceTest, AChoiceEnteredByAnEarlierTokenSaysSo) {
  tokenizer_ = word_tokenizer({"true,\""});
  vocabulary_ = vocabulary_of(tokenizer_);
  open(R"({"type":"array","minItems":2,"maxItems":2,"items":{"enum":[true,"x","y"]}})");
  ASSERT_TRUE(advance_text(*state_, tokenizer_, "["));
  take({{"true,\"", 0.5}, {"\"", 0.5}}, "true,\"");
  const ChoiceOutcome first = only_outcome();
  EXPECT_TRUE(first.whole);
  EXPECT_EQ(first.pointer, "/0");
  EXPECT_NEAR(find(first, "true").probability, 0.5, 1e-6);
  // The quote has excluded `true` from the second.
  take({{"x", 0.25}, {"y", 0.75}}, "y");
  const ChoiceOutcome second = only_outcome();
  EXPECT_FALSE(second.whole);
  EXPECT_EQ(second.pointer, "/1");
  EXPECT_EQ(second.literals.size(), 2u);
  EXPECT_NEAR(find(second, "\"y\"").probability, 0.75, 1e-6);
}

TEST_F(ChoiceTest, RefusesRowsThatAreNoProbabilities) {
  open(R"({"type":"boolean"})");
  const auto read = [&](const std::vector<float>& logits, const char* token) {
    return read_row(reader_, *state_, logits, tokenizer_.find(token).value(), stop_);
  };
  std::vector<float> logits(tokenizer_.vocab_size(), 0.0f);
  EXPECT_TRUE(read(logits, "t"));
  EXPECT_FALSE(read(logits, "z"));
  logits[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(read(logits, "t"));
  logits[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(read(logits, "t"));
  logits.assign(tokenizer_.vocab_size(), -std::numeric_limits<float>::infinity());
  EXPECT_FALSE(read(logits, "t"));
  const params::SoftmaxSum row{
      .largest = 0, .sum = 2, .bad_token = params::kSoftmaxNoToken, .unused = 0};
  EXPECT_FALSE(
      reader_.read(*state_->choice(), row, std::vector<float>{0.0f}, tokenizer_.find("t").value()));
}

// Whatever is generated, every choice in the answer yields an outcome that adds up to one and names
// the literal that stands in the answer.
TEST(ChoiceWalk, OutcomesMatchTheAnswer) {
  const auto vocabulary = tiny_vocabulary();
  std::mt19937 random(5);
  for (const auto& [name, text] : sample_schemas()) {
    const Schema schema = compile_or_die(text, vocabulary);
    for (int i = 0; i < 20; ++i) {
      ConstraintState state = schema.begin();
      const std::int32_t stop = vocabulary->tokenizer().find("<eos>").value();
      ChoiceReader reader({stop});
      std::string answer;
      while (!state.done()) {
        std::vector<float> logits(vocabulary->size());
        std::uniform_real_distribution<float> logit(-4.0f, 4.0f);
        for (float& value : logits) value = logit(random);
        const bool stops = state.can_stop() && random() % 2 == 0;
        const auto tokens = allowed_tokens(state);
        const std::int32_t token = stops ? stop : tokens[random() % tokens.size()];
        const auto read = read_row(reader, state, logits, token, stop);
        ASSERT_TRUE(read) << read.error().message;
        if (stops) break;
        answer += vocabulary->token_bytes(token);
        ASSERT_TRUE(state.advance(token));
      }
      const auto value = nlohmann::json::parse(answer);
      for (const ChoiceOutcome& outcome : reader.take()) {
        double total = outcome.outside + outcome.lost;
        for (const auto& literal : outcome.literals) {
          EXPECT_GE(literal.probability, 0.0);
          total += literal.probability;
        }
        EXPECT_NEAR(total, 1.0, 1e-6) << name << " " << answer;
        EXPECT_EQ(value.at(nlohmann::json::json_pointer(outcome.pointer)),
                  nlohmann::json::parse(outcome.literals[outcome.taken].json))
            << name << " " << answer << " " << outcome.pointer;
      }
    }
  }
}

}  // namespace
}  // namespace preflight::generate
