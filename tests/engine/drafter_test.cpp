// The drafter: its values against the reference, and answers that are the same with it and without.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <map>
#include <tuple>

#include <nlohmann/json.hpp>

#include "engine/run/prompt.h"
#include "tests/engine/golden.h"

namespace preflight::engine {
namespace {

/// How an engine drafts.
struct Drafting {
  const char* name;
  const char* drafter;  ///< null: none
  std::optional<std::uint32_t> draft_tokens;
};
constexpr Drafting kNone = {"none", nullptr, {}};
constexpr Drafting kLiterals = {"literals", nullptr, 4};
constexpr Drafting kThree = {"three", "models/tiny-drafter", 3};
constexpr Drafting kEight = {"eight", "models/tiny-drafter", 8};
constexpr Drafting kPacked = {"packed", "gguf/tiny-drafter-Q8_0.gguf", 3};
constexpr Drafting kMeasured = {"measured", "models/tiny-drafter", {}};

Engine* engine_for(const NumericClass& numbers, const Drafting& drafting) {
  auto& engine = engines()[std::string(numbers.name) + drafting.name];
  if (engine == nullptr) {
    EngineOptions options;
    options.model = golden() / "models/tiny";
    if (drafting.drafter != nullptr) options.drafter = golden() / drafting.drafter;
    options.draft_tokens = drafting.draft_tokens;
    options.tier = numbers.tier;
    options.kv = numbers.kv;
    options.context_tokens = 4096;
    options.max_sequences = 12;
    auto loaded = Engine::load(options);
    EXPECT_TRUE(loaded.has_value()) << loaded.error().message;
    if (loaded) engine = std::move(*loaded);
  }
  return engine.get();
}

nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream file(path);
  return nlohmann::json::parse(file, nullptr, false);
}

/// The inputs of a case, with the media that they point into.
run::Prompt prompt_of(const std::string& case_name, Engine& engine) {
  media::DecoderOptions decoder;
  decoder.program = std::filesystem::path(PREFLIGHT_BIN) / "preflight-decode";
  const auto counted =
      run::read_counted_request(golden() / "cases" / (case_name + ".json"),
                                {.model = golden() / "models/tiny", .mmproj = {}}, decoder);
  EXPECT_TRUE(counted.has_value()) << counted.error().message;
  if (!counted) return {};
  auto prompt = run::embed(*counted, engine);
  EXPECT_TRUE(prompt.has_value()) << prompt.error().message;
  return prompt ? std::move(*prompt) : run::Prompt{};
}

SequenceId open(Engine& engine) {
  const auto sequence = engine.open();
  EXPECT_TRUE(sequence.has_value()) << sequence.error().message;
  return sequence.value_or(SequenceId{0});
}

SequenceId open_with(Engine& engine, const run::Prompt& prompt) {
  const SequenceId sequence = open(engine);
  const auto prefilled = engine.prefill(sequence, prompt.inputs);
  EXPECT_TRUE(prefilled.has_value()) << prefilled.error().message;
  return sequence;
}

double largest_error(std::span<const float> expected, std::span<const float> actual) {
  EXPECT_EQ(expected.size(), actual.size());
  double largest = 0;
  for (std::size_t i = 0; i < std::min(expected.size(), actual.size()); i++) {
    const double error =
        std::abs(static_cast<double>(expected[i]) - static_cast<double>(actual[i]));
    largest = error <= largest ? largest : error;  // NaN must not pass as small
  }
  return largest;
}

class GoldenDrafts : public testing::TestWithParam<const char*> {};

TEST_P(GoldenDrafts, ValuesAndRoundsAreTheReferences) {
  const std::filesystem::path path = golden() / "cases" / (std::string(GetParam()) + ".draft");
  const nlohmann::json expected = read_json(path.string() + ".json");
  ASSERT_TRUE(expected.is_object());
  const auto hidden = read_tensor<float>(path.string() + ".safetensors", "hidden");
  const auto logits = read_tensor<float>(path.string() + ".safetensors", "logits");
  const auto n_drafts = expected.at("drafts_per_round").get<std::uint32_t>();

  Engine* engine = engine_for(kF32Class, kThree);
  ASSERT_NE(engine, nullptr);
  const std::size_t dim = engine->config().model_dim;
  const std::size_t vocab = engine->config().vocab_size;
  const run::Prompt prompt = prompt_of(GetParam(), *engine);
  std::vector<Input> known(prompt.inputs.begin(), prompt.inputs.end());
  const SequenceId sequence = open(*engine);
  std::size_t n_stored = 0;  // inputs that the sequence holds
  std::size_t ix = 0;
  for (const nlohmann::json& round : expected.at("rounds")) {
    const auto token = round.at("token").get<std::int32_t>();
    const auto drafts = round.at("drafts").get<std::vector<std::int32_t>>();
    ASSERT_EQ(known.size() + 1, round.at("length").get<std::size_t>());
    const auto trace = engine->draft(sequence, std::span(known).subspan(n_stored), token, n_drafts);
    ASSERT_TRUE(trace.has_value()) << trace.error().message;
    n_stored = known.size();
    EXPECT_EQ(trace->ids, drafts) << "round " << ix;
    if ((ix + 1) * dim <= hidden.size()) {
      EXPECT_LE(largest_error(std::span(hidden).subspan(ix * dim, dim), trace->hidden),
                kF32Class.max_abs);
      for (std::size_t i = 0; i < n_drafts; i++)
        EXPECT_LE(largest_error(std::span(logits).subspan((ix * n_drafts + i) * vocab, vocab),
                                trace->logits.at(i)),
                  kF32Class.max_abs)
            << "round " << ix << ", draft " << i;
    }
    known.push_back({.token = token});
    const auto n_accepted = round.at("accepted").get<std::size_t>();
    for (std::size_t i = 0; i < n_accepted; i++) known.push_back({.token = drafts.at(i)});
    ix++;
  }
  engine->close(sequence);

  // The same rounds as generation runs them: as many tokens as they give, and the first one.
  const SequenceId generated = open_with(*engine, prompt);
  GenerateRow row{.sequence = generated, .constraint = {}, .max_tokens = 0};
  row.max_tokens = static_cast<std::uint32_t>(known.size() - prompt.inputs.size() + 1);
  const auto answers = engine->generate({&row, 1});
  engine->close(generated);
  ASSERT_TRUE(answers.has_value()) << answers.error().message;
  const auto& rounds = expected.at("rounds");
  std::vector<std::int32_t> ids;
  for (std::size_t i = prompt.inputs.size(); i < known.size(); i++) ids.push_back(known[i].token);
  ids.push_back(rounds.back().at("next").get<std::int32_t>());
  EXPECT_EQ(answers->at(0).ids, ids);
  EXPECT_EQ(answers->at(0).n_accepted_tokens, expected.at("accepted").get<std::uint32_t>());
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenDrafts, testing::Values("text-short", "chat-plain", "mixed"),
                         [](const auto& test) {
                           std::string label = test.param;
                           std::replace(label.begin(), label.end(), '-', '_');
                           return label;
                         });

/// All greedy cases of the tiny model.
constexpr const char* kAnswerCases[] = {
    "text-long",   "text-short",  "text-special",   "chat-audio",      "chat-image", "chat-plain",
    "chat-system", "chat-think",  "chat-tools",     "chat-toolresult", "chat-turns", "image-70",
    "image-280",   "image-1120",  "image-tall-jpg", "images-two",      "audio-half", "audio-three",
    "video-4",     "video-sound", "mixed"};

class DraftedAnswer
    : public testing::TestWithParam<std::tuple<NumericClass, Drafting, const char*>> {};

TEST_P(DraftedAnswer, IsTheReferences) {
  const auto& [numbers, drafting, case_name] = GetParam();
  const nlohmann::json expected =
      read_json(golden() / "cases" / (std::string(case_name) + ".gen.json"));
  ASSERT_TRUE(expected.is_object());
  Engine* engine = engine_for(numbers, drafting);
  ASSERT_NE(engine, nullptr);
  const SequenceId sequence = open_with(*engine, prompt_of(case_name, *engine));
  GenerateRow row{.sequence = sequence, .constraint = {}, .max_tokens = 0};
  row.max_tokens = expected.at("max_tokens").get<std::uint32_t>();
  const auto answers = engine->generate({&row, 1});
  engine->close(sequence);
  ASSERT_TRUE(answers.has_value()) << answers.error().message;
  EXPECT_EQ(answers->at(0).ids, expected.at("ids").get<std::vector<std::int32_t>>());
  EXPECT_EQ(answers->at(0).finish_reason == FinishReason::kStop,
            expected.at("stopped").get<bool>());
  EXPECT_LE(answers->at(0).n_accepted_tokens, answers->at(0).n_drafted_tokens);
  if (drafting.draft_tokens) {
    EXPECT_GT(answers->at(0).n_drafted_tokens, 0u);
  }
}

std::string answer_label(const auto& test) {
  std::string label = std::string(std::get<0>(test.param).name) + "_" +
                      std::get<1>(test.param).name + "_" + std::get<2>(test.param);
  std::replace(label.begin(), label.end(), '-', '_');
  return label;
}

/// One case of each kind, for other ways to draft and other numbers.
constexpr const char* kFewCases[] = {"text-short", "chat-plain", "image-70", "audio-half", "mixed"};

INSTANTIATE_TEST_SUITE_P(Float32, DraftedAnswer,
                         testing::Combine(testing::Values(kF32Class), testing::Values(kThree),
                                          testing::ValuesIn(kAnswerCases)),
                         [](const auto& test) { return answer_label(test); });
INSTANTIATE_TEST_SUITE_P(OtherWays, DraftedAnswer,
                         testing::Combine(testing::Values(kF32Class),
                                          testing::Values(kEight, kPacked, kMeasured),
                                          testing::ValuesIn(kFewCases)),
                         [](const auto& test) { return answer_label(test); });
INSTANTIATE_TEST_SUITE_P(Half, DraftedAnswer,
                         testing::Combine(testing::Values(kKv16Class, kAct16Class),
                                          testing::Values(kThree), testing::ValuesIn(kFewCases)),
                         [](const auto& test) { return answer_label(test); });

struct SavedSteps {
  std::uint64_t steps, forced, drafts;
};

/// What the meter says that generating these answers took and saved.
SavedSteps saved_steps(const Meter& after, const Meter& before) {
  return {.steps = after.narrow_steps + after.wide_steps - before.narrow_steps - before.wide_steps,
          .forced = after.saved_steps - before.saved_steps,
          .drafts = after.draft_saved_steps - before.draft_saved_steps};
}

constexpr const char* kSchema = R"({"type": "object", "properties": {
  "verdict": {"enum": ["pass", "fail", "passing by far"]}, "sure": {"type": "boolean"},
  "note": {"type": "string", "maxLength": 24}}, "required": ["verdict", "sure", "note"]})";

class Saving : public testing::TestWithParam<Drafting> {
 protected:
  /// Generates the rows, of which the first has the longest answer, and holds the meter against it.
  static void expect_saved(Engine& engine, std::span<const GenerateRow> rows, SavedSteps& saved) {
    const Meter before = engine.meter();
    const auto answers = engine.generate(rows);
    ASSERT_TRUE(answers.has_value()) << answers.error().message;
    saved = saved_steps(engine.meter(), before);
    const Generation& longest = answers->at(0);
    EXPECT_EQ(saved.forced, longest.n_forced_tokens);
    EXPECT_EQ(saved.drafts, longest.n_accepted_tokens);
    EXPECT_EQ(saved.steps, longest.ids.size() - saved.forced - saved.drafts);
  }
};

TEST_P(Saving, ByForcedTextIsToldFromThatByDrafts) {
  Engine* engine = engine_for(kF32Class, GetParam());
  ASSERT_NE(engine, nullptr);
  const auto schema = generate::Schema::compile(kSchema, engine->vocabulary(), {});
  ASSERT_TRUE(schema.has_value()) << schema.error().message;
  const SequenceId prompt = open_with(*engine, prompt_of("chat-plain", *engine));
  std::array<SavedSteps, 2> bound{};
  for (SavedSteps& saved : bound) {  // the second answer's literals are guessed from the first's
    const auto answer = engine->fork(prompt);
    const auto company = engine->fork(prompt);
    ASSERT_TRUE(answer.has_value() && company.has_value());
    const std::array<GenerateRow, 2> rows = {{
        {.sequence = *answer, .constraint = schema->begin(), .max_tokens = 0},
        {.sequence = *company, .constraint = {}, .max_tokens = 1},
    }};
    expect_saved(*engine, rows, saved);
    engine->close(*answer);
    engine->close(*company);
  }
  EXPECT_GT(bound[0].forced, 0u);
  EXPECT_EQ(bound[1].forced, bound[0].forced);
  EXPECT_EQ(bound[1].drafts > 0, GetParam().draft_tokens.has_value());

  SavedSteps free{};
  const GenerateRow row{.sequence = prompt, .constraint = {}, .max_tokens = 24};
  expect_saved(*engine, {&row, 1}, free);
  EXPECT_EQ(free.forced, 0u);
  EXPECT_EQ(free.drafts > 0, GetParam().drafter != nullptr);
  engine->close(prompt);
}

INSTANTIATE_TEST_SUITE_P(Ways, Saving, testing::Values(kNone, kLiterals, kThree),
                         [](const auto& test) { return std::string(test.param.name); });

/// Text, constraint outcomes and what the sequence holds afterwards.
struct Outcome {
  std::vector<std::int32_t> ids;
  FinishReason finish_reason;
  std::uint32_t n_forced_tokens;
  std::vector<std::size_t> taken;     ///< by choice
  std::vector<double> probabilities;  ///< of all literals of all choices
  std::vector<float> next_logits;     ///< of one more token behind the answer

  friend bool operator==(const Outcome&, const Outcome&) = default;
};

class Company : public testing::TestWithParam<std::tuple<NumericClass, Drafting>> {
 protected:
  /// Five forks of two prompts, some under a schema and some sampled, generated together; then each
  /// goes on.
  static std::vector<Outcome> outcomes(Engine& engine, std::uint32_t& n_accepted) {
    const auto schema = generate::Schema::compile(kSchema, engine.vocabulary(), {});
    EXPECT_TRUE(schema.has_value()) << schema.error().message;
    const SequenceId text = open_with(engine, prompt_of("text-short", engine));
    const SequenceId picture = open_with(engine, prompt_of("mixed", engine));
    std::vector<SequenceId> sequences = {text, picture};
    for (const SequenceId from : {text, text, picture}) {
      const auto fork = engine.fork(from);
      EXPECT_TRUE(fork.has_value()) << fork.error().message;
      sequences.push_back(*fork);
    }
    std::vector<GenerateRow> rows;
    for (std::uint32_t i = 0; i < sequences.size(); i++)
      rows.push_back({.sequence = sequences[i], .constraint = {}, .max_tokens = 12 + 9 * i});
    rows[2].constraint = schema->begin();
    rows[4].constraint = schema->begin();
    rows[1].sampling = {.temperature = 1, .top_k = 64, .top_p = 0.95f, .seed = 7};
    rows[3].sampling = {.temperature = 0.2f, .min_p = 0.05f, .seed = 7};
    rows[4].sampling = {.temperature = 1.5f, .seed = 8};
    std::vector<std::vector<std::int32_t>> told(rows.size());
    const auto answers = engine.generate(
        rows, {}, [&](std::size_t row, std::int32_t id) { told[row].push_back(id); });
    EXPECT_TRUE(answers.has_value()) << answers.error().message;

    std::vector<Outcome> all;
    for (std::size_t i = 0; answers && i < answers->size(); i++) {
      const Generation& answer = (*answers)[i];
      EXPECT_EQ(told[i], answer.ids);
      n_accepted += answer.n_accepted_tokens;
      Outcome outcome{.ids = answer.ids,
                      .finish_reason = answer.finish_reason,
                      .n_forced_tokens = answer.n_forced_tokens,
                      .taken = {},
                      .probabilities = {},
                      .next_logits = {}};
      for (const ChoiceReading& choice : answer.choices) {
        outcome.taken.push_back(choice.outcome.taken);
        for (const auto& literal : choice.outcome.literals)
          outcome.probabilities.push_back(literal.probability);
      }
      const Input next{.token = 100};
      const std::uint32_t wanted = 0;
      const auto ran = engine.logits(sequences[i], {&next, 1}, {&wanted, 1},
                                     [&](std::uint32_t, std::span<const float> row) {
                                       outcome.next_logits.assign(row.begin(), row.end());
                                     });
      EXPECT_TRUE(ran.has_value()) << ran.error().message;
      all.push_back(std::move(outcome));
    }
    for (const SequenceId sequence : sequences) engine.close(sequence);
    return all;
  }
};

TEST_P(Company, GetsTheSameAnswersAsWithoutADrafter) {
  const auto& [numbers, drafting] = GetParam();
  Engine* plain = engine_for(numbers, kNone);
  Engine* drafted = engine_for(numbers, drafting);
  ASSERT_TRUE(plain != nullptr && drafted != nullptr);
  std::uint32_t n_accepted = 0;
  static std::map<std::string, std::vector<Outcome>> by_class;
  std::vector<Outcome>& expected = by_class[numbers.name];
  if (expected.empty()) expected = outcomes(*plain, n_accepted);
  EXPECT_EQ(n_accepted, 0u);
  ASSERT_FALSE(expected.empty());
  // Twice: pages that a rejected draft had taken must have come back. They are counted on the host,
  // which sees no numbers.
  const int n_rounds = numbers.kv == KvFormat::kF32 ? 2 : 1;
  for (int i = 0; i < n_rounds; i++) {
    const std::vector<Outcome> actual = outcomes(*drafted, n_accepted);
    ASSERT_EQ(actual.size(), expected.size());
    for (std::size_t row = 0; row < actual.size(); row++)
      EXPECT_EQ(actual[row], expected[row]) << "row " << row;
  }
  if (drafting.draft_tokens) {
    EXPECT_GT(n_accepted, 0u);
  }
}

std::string company_label(const auto& test) {
  return std::string(std::get<0>(test.param).name) + "_" + std::get<1>(test.param).name;
}

INSTANTIATE_TEST_SUITE_P(Ways, Company,
                         testing::Combine(testing::Values(kF32Class),
                                          testing::Values(kThree, kEight, kMeasured, kLiterals)),
                         [](const auto& test) { return company_label(test); });
// How many drafts there are is decided on the host. Other numbers have other kernels, whose steps
// are of a few rows and of many.
INSTANTIATE_TEST_SUITE_P(Half, Company,
                         testing::Combine(testing::Values(kKv16Class, kAct16Class),
                                          testing::Values(kThree, kEight)),
                         [](const auto& test) { return company_label(test); });

TEST(Drafter, EndsWhereTheContextEnds) {
  // 64 positions: drafts must never be what does not fit.
  EngineOptions options;
  options.model = golden() / "models/tiny";
  options.drafter = golden() / "models/tiny-drafter";
  options.draft_tokens = 8;
  options.context_tokens = 64;
  options.max_sequences = 1;
  const auto engine = Engine::load(options);
  ASSERT_TRUE(engine.has_value()) << engine.error().message;
  const run::Prompt prompt = prompt_of("text-short", **engine);
  const SequenceId sequence = open_with(**engine, prompt);
  GenerateRow row{.sequence = sequence, .constraint = {}, .max_tokens = 0};
  row.max_tokens = 64 - static_cast<std::uint32_t>(prompt.inputs.size()) + 1;
  const auto answers = (*engine)->generate({&row, 1});
  ASSERT_TRUE(answers.has_value()) << answers.error().message;
  EXPECT_EQ(answers->at(0).ids.size(), row.max_tokens);
}

TEST(Drafter, IsCountedByTheProgram) {
  const std::string line = std::string(PREFLIGHT_BIN "/preflight-run generate --json --kv f32") +
                           " --model " + (golden() / "models/tiny").string() + " --drafter " +
                           (golden() / "gguf/tiny-drafter-Q8_0.gguf").string() +
                           " --draft-tokens 3 --max-tokens 20 --request " +
                           (golden() / "cases/text-short.json").string();
  FILE* const pipe = popen(line.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  std::string out;
  std::array<char, 4096> buffer;
  for (std::size_t n = 0; (n = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;)
    out.append(buffer.data(), n);
  EXPECT_EQ(pclose(pipe), 0);
  const nlohmann::json answer = nlohmann::json::parse(out, nullptr, false);
  ASSERT_TRUE(answer.is_object()) << out;
  const nlohmann::json& timings = answer.at("timings");
  EXPECT_EQ(timings.at("generated_tokens"), 20);
  EXPECT_GT(timings.at("accepted_tokens"), 0);
  EXPECT_GE(timings.at("drafted_tokens"), timings.at("accepted_tokens"));
}

TEST(Drafter, OfAnotherModelIsRefused) {
  EngineOptions options;
  options.model = golden() / "models/wide";
  options.drafter = golden() / "models/tiny-drafter";
  const auto engine = Engine::load(options);
  ASSERT_FALSE(engine.has_value());
  EXPECT_EQ(engine.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(engine.error().message.find("width of the target is 256, expected 64"),
            std::string::npos)
      << engine.error().message;
}

TEST(Drafter, CountsInTheMemoryPlan) {
  const Engine* plain = engine_for(kF32Class, kNone);
  const Engine* drafted = engine_for(kF32Class, kThree);
  ASSERT_TRUE(plain != nullptr && drafted != nullptr);
  EXPECT_EQ(plain->memory_plan().drafter_bytes, 0u);
  // The plan is what was computed before anything was allocated.
  const std::uint64_t planned = drafted->memory_plan().drafter_bytes;
  const std::uint64_t taken = drafted->peak_device_bytes() - plain->peak_device_bytes();
  EXPECT_LE(taken, planned + planned / 50);
  EXPECT_GE(taken, planned - planned / 50);
}

}  // namespace
}  // namespace preflight::engine
