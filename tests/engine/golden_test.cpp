// The golden values through the public path: request file, media, tokens, shaders, logits.

#include "tests/engine/golden.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <numeric>
#include <optional>
#include <tuple>

#include <nlohmann/json.hpp>

#include "engine/run/prompt.h"

namespace preflight::engine {
namespace {

struct Errors {
  double max_abs = 0, mean_abs = 0, mean_kl = 0;
};

/// log softmax of a row in double.
std::vector<double> log_softmax(std::span<const float> row) {
  const double top = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float v : row) sum += std::exp(v - top);
  std::vector<double> out;
  for (const float v : row) out.push_back(v - top - std::log(sum));
  return out;
}

Errors compare(std::span<const float> expected, std::span<const float> actual, std::size_t vocab) {
  Errors errors;
  const std::size_t n_rows = expected.size() / vocab;
  for (std::size_t r = 0; r < n_rows; r++) {
    const auto e = expected.subspan(r * vocab, vocab);
    const auto a = actual.subspan(r * vocab, vocab);
    const std::vector<double> p = log_softmax(e);
    const std::vector<double> q = log_softmax(a);
    for (std::size_t i = 0; i < vocab; i++) {
      const double error = std::abs(static_cast<double>(e[i]) - static_cast<double>(a[i]));
      // NaN compares false everywhere; it must not pass as small.
      errors.max_abs = error <= errors.max_abs ? errors.max_abs : error;
      errors.mean_abs += error / static_cast<double>(expected.size());
      errors.mean_kl += std::exp(p[i]) * (p[i] - q[i]) / static_cast<double>(n_rows);
    }
  }
  return errors;
}

/// One engine per model and class.
Engine* engine_for(const std::string& model, const std::string& mmproj,
                   const NumericClass& numbers) {
  auto& engine = engines()[model + " " + numbers.name];
  if (engine == nullptr) engine = load_golden(model, numbers, mmproj);
  return engine.get();
}

run::CountedRequest counted_request(const std::string& case_name, const std::string& model,
                                    const std::string& mmproj) {
  run::ModelOptions options{.model = golden() / model, .mmproj = {}};
  if (!mmproj.empty()) options.mmproj = golden() / mmproj;
  media::DecoderOptions decoder;
  decoder.program = std::filesystem::path(PREFLIGHT_BIN) / "preflight-decode";
  auto counted =
      run::read_counted_request(golden() / "cases" / (case_name + ".json"), options, decoder);
  EXPECT_TRUE(counted.has_value()) << counted.error().message;
  return counted ? std::move(*counted) : run::CountedRequest{};
}

/// Holds the logits of a prompt against the reference. `answer`, where it is wanted, becomes a
/// sequence of the same prompt whose last input is pending, so that an answer is not paid for by a
/// second reading.
void expect_logits(Engine& engine, const run::CountedRequest& counted,
                   const std::filesystem::path& expected_path, const NumericClass& limits,
                   std::optional<SequenceId>* answer = nullptr) {
  EXPECT_EQ(counted.expanded.ids, read_tensor<std::int32_t>(expected_path, "ids"));
  if (testing::Test::HasFailure()) return;
  const auto positions = read_tensor<std::int32_t>(expected_path, "positions");
  const auto expected = read_tensor<float>(expected_path, "logits");

  const auto prompt = run::embed(counted, engine);
  ASSERT_TRUE(prompt.has_value()) << prompt.error().message;
  const auto sequence = engine.open();
  ASSERT_TRUE(sequence.has_value()) << sequence.error().message;
  std::vector<float> actual;
  std::size_t n_read = 0;
  const auto read_to = [&](std::size_t end) {
    std::vector<std::uint32_t> wanted;
    for (const std::int32_t position : positions) {
      const auto at = static_cast<std::size_t>(position);
      if (at >= n_read && at < end) wanted.push_back(static_cast<std::uint32_t>(at - n_read));
    }
    const auto ran =
        engine.logits(*sequence, std::span(prompt->inputs).subspan(n_read, end - n_read), wanted,
                      [&](std::uint32_t, std::span<const float> row) {
                        actual.insert(actual.end(), row.begin(), row.end());
                      });
    EXPECT_TRUE(ran.has_value()) << ran.error().message;
    n_read = end;
  };
  if (answer != nullptr) {
    read_to(prompt->inputs.size() - 1);
    const auto fork = engine.fork(*sequence);
    ASSERT_TRUE(fork.has_value()) << fork.error().message;
    *answer = *fork;
    const auto prefilled = engine.prefill(*fork, std::span(prompt->inputs).last(1));
    ASSERT_TRUE(prefilled.has_value()) << prefilled.error().message;
  }
  read_to(prompt->inputs.size());
  engine.close(*sequence);
  ASSERT_EQ(actual.size(), expected.size());

  const Errors errors = compare(expected, actual, engine.config().vocab_size);
  EXPECT_LE(errors.max_abs, limits.max_abs);
  EXPECT_LE(errors.mean_abs, limits.mean_abs);
  EXPECT_LE(errors.mean_kl, limits.mean_kl);
  EXPECT_TRUE(std::isfinite(errors.mean_abs));
  testing::Test::RecordProperty("max_abs", std::to_string(errors.max_abs));
}

/// The reference resamples these with another filter; the class is the measured distance of two
/// good resamplers, times 4.
bool is_resampled(const std::string& name) {
  return name == "audio-stereo44" || name == "audio-eight";
}

std::string model_of(const std::string& case_name) {
  return case_name.starts_with("wide") ? "models/wide" : "models/tiny";
}

class GoldenCase : public testing::TestWithParam<std::tuple<NumericClass, const char*>> {};

TEST_P(GoldenCase, LogitsAreTheReferences) {
  const auto& [numbers, case_name] = GetParam();
  if (!can_run(numbers)) GTEST_SKIP() << "this device has no such kernels";
  Engine* engine = engine_for(model_of(case_name), "", numbers);
  ASSERT_NE(engine, nullptr);
  NumericClass limits = numbers;
  if (is_resampled(case_name)) {
    limits.max_abs = std::max(limits.max_abs, 0.6);
    limits.mean_abs = std::max(limits.mean_abs, 0.04);
    limits.mean_kl = std::max(limits.mean_kl, 4e-3);
  }
  expect_logits(*engine, counted_request(case_name, model_of(case_name), ""),
                golden() / "cases" / (std::string(case_name) + ".safetensors"), limits);
}

class GoldenAnswer : public testing::TestWithParam<std::tuple<NumericClass, const char*>> {};

TEST_P(GoldenAnswer, LogitsAndGreedyContinuationAreTheReferences) {
  const auto& [numbers, case_name] = GetParam();
  const std::filesystem::path path = golden() / "cases" / case_name;
  std::ifstream file(path.string() + ".gen.json");
  const nlohmann::json expected = nlohmann::json::parse(file, nullptr, false);
  ASSERT_TRUE(expected.is_object());
  Engine* engine = engine_for(model_of(case_name), "", numbers);
  ASSERT_NE(engine, nullptr);
  std::optional<SequenceId> sequence;
  expect_logits(*engine, counted_request(case_name, model_of(case_name), ""),
                path.string() + ".safetensors", numbers, &sequence);
  ASSERT_TRUE(sequence.has_value());
  GenerateRow row{.sequence = *sequence, .constraint = {}, .max_tokens = 0};
  row.max_tokens = expected.at("max_tokens").get<std::uint32_t>();
  const auto answers = engine->generate({&row, 1});
  engine->close(*sequence);
  ASSERT_TRUE(answers.has_value()) << answers.error().message;

  EXPECT_EQ(answers->at(0).ids, expected.at("ids").get<std::vector<std::int32_t>>());
  // The reference turns a whole run of byte tokens into U+FFFD where only a part of it is no
  // character; ours keeps the valid parts. Every other text must be equal.
  const auto text = expected.at("text").get<std::string>();
  if (text.find("\xEF\xBF\xBD") == std::string::npos) {
    EXPECT_EQ(engine->tokenizer().decode(answers->at(0).ids, true), text);
  }
  EXPECT_EQ(answers->at(0).finish_reason == FinishReason::kStop,
            expected.at("stopped").get<bool>());
}

/// Cases whose continuation the reference has too, and those of which it has the logits alone.
constexpr const char* kAnswerCases[] = {
    "text-long",   "text-short",  "text-special",   "chat-audio",      "chat-image", "chat-plain",
    "chat-system", "chat-think",  "chat-tools",     "chat-toolresult", "chat-turns", "image-70",
    "image-280",   "image-1120",  "image-tall-jpg", "images-two",      "audio-half", "audio-three",
    "video-4",     "video-sound", "mixed",          "wide-short",      "wide-long"};

constexpr const char* kLogitCases[] = {
    "text-ids",       "text-nobos",  "text-one",     "text-split",  "chat-toolthink",
    "image-dot",      "image-exact", "image-flat",   "image-grey",  "image-palette",
    "image-rgba",     "image-strip", "image-turned", "image-wide",  "image-tall-png",
    "audio-stereo44", "audio-eight", "video-32",     "video-track", "video-4-stills"};

std::string case_label(const testing::TestParamInfo<std::tuple<NumericClass, const char*>>& info) {
  std::string label = std::string(std::get<0>(info.param).name) + "_" + std::get<1>(info.param);
  std::replace(label.begin(), label.end(), '-', '_');
  return label;
}

INSTANTIATE_TEST_SUITE_P(Float32, GoldenCase,
                         testing::Combine(testing::Values(kF32Class),
                                          testing::ValuesIn(kLogitCases)),
                         case_label);
INSTANTIATE_TEST_SUITE_P(HalfPages, GoldenCase,
                         testing::Combine(testing::Values(kKv16Class),
                                          testing::ValuesIn(kLogitCases)),
                         case_label);
INSTANTIATE_TEST_SUITE_P(HalfInputs, GoldenCase,
                         testing::Combine(testing::Values(kAct16Class),
                                          testing::ValuesIn(kLogitCases)),
                         case_label);
INSTANTIATE_TEST_SUITE_P(MatrixUnits, GoldenCase,
                         testing::Combine(testing::Values(kCoopmatClass),
                                          testing::Values("text-short", "text-long", "chat-turns",
                                                          "wide-long", "image-70", "audio-half")),
                         case_label);
INSTANTIATE_TEST_SUITE_P(AllClasses, GoldenAnswer,
                         testing::Combine(testing::Values(kF32Class, kKv16Class, kAct16Class),
                                          testing::ValuesIn(kAnswerCases)),
                         case_label);
// On the kernels of graphics cards: a case of each kind, long and short, and of both shapes.
INSTANTIATE_TEST_SUITE_P(CardKernels, GoldenCase,
                         testing::Combine(testing::Values(kCardF32Class, kCardAct16Class),
                                          testing::Values("video-track")),
                         case_label);
INSTANTIATE_TEST_SUITE_P(CardKernelsHalf, GoldenCase,
                         testing::Combine(testing::Values(kCardAct16Class),
                                          testing::Values("text-short", "text-long", "mixed")),
                         case_label);
INSTANTIATE_TEST_SUITE_P(CardKernels, GoldenAnswer,
                         testing::Combine(testing::Values(kCardF32Class),
                                          testing::Values("text-short", "chat-turns", "image-70",
                                                          "image-1120", "images-two", "audio-three",
                                                          "video-sound", "mixed", "wide-long")),
                         case_label);

/// The GGUF files: the BF16 one against the checkpoint's own values, the quantised ones against the
/// reference on their dequantised weights.
struct GgufCase {
  const char* file;
  const char* case_name;
  const char* expected;
};

class GoldenGguf : public testing::TestWithParam<std::tuple<NumericClass, GgufCase>> {};

TEST_P(GoldenGguf, LogitsAreTheReferences) {
  const auto& [numbers, gguf] = GetParam();
  if (!can_run(numbers)) GTEST_SKIP() << "this device has no such kernels";
  const std::string mmproj = "gguf/mmproj-tiny-bf16.gguf";
  Engine* engine = engine_for(gguf.file, mmproj, numbers);
  ASSERT_NE(engine, nullptr);
  expect_logits(*engine, counted_request(gguf.case_name, gguf.file, mmproj),
                golden() / gguf.expected, numbers);
}

constexpr GgufCase kGgufCases[] = {
    {"gguf/tiny-bf16.gguf", "text-long", "cases/text-long.safetensors"},
    {"gguf/tiny-bf16.gguf", "mixed", "cases/mixed.safetensors"},
    {"gguf/tiny-bf16.gguf", "chat-image", "cases/chat-image.safetensors"},
    {"gguf/tiny-Q8_0.gguf", "text-short", "quant/tiny-Q8_0.text-short.safetensors"},
    {"gguf/tiny-Q8_0.gguf", "text-long", "quant/tiny-Q8_0.text-long.safetensors"},
    {"gguf/tiny-Q8_0.gguf", "image-70", "quant/tiny-Q8_0.image-70.safetensors"},
    {"gguf/tiny-Q4_0.gguf", "text-short", "quant/tiny-Q4_0.text-short.safetensors"},
    {"gguf/tiny-Q4_0.gguf", "text-long", "quant/tiny-Q4_0.text-long.safetensors"},
    {"gguf/tiny-Q4_0.gguf", "image-70", "quant/tiny-Q4_0.image-70.safetensors"},
    {"gguf/tiny-Q4_K_M.gguf", "text-short", "quant/tiny-Q4_K_M.text-short.safetensors"},
    {"gguf/tiny-Q4_K_M.gguf", "text-long", "quant/tiny-Q4_K_M.text-long.safetensors"},
    {"gguf/tiny-Q4_K_M.gguf", "image-70", "quant/tiny-Q4_K_M.image-70.safetensors"}};

INSTANTIATE_TEST_SUITE_P(
    AllClasses, GoldenGguf,
    testing::Combine(testing::Values(kF32Class, kKv16Class, kAct16Class, kAct8Class, kCoopmatClass),
                     testing::ValuesIn(kGgufCases)),
    [](const auto& test) {
      const GgufCase& gguf = std::get<1>(test.param);
      std::string label =
          std::string(std::get<0>(test.param).name) + "_" + gguf.file + "_" + gguf.case_name;
      std::replace_if(
          label.begin(), label.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
      return label;
    });

}  // namespace
}  // namespace preflight::engine
