#include "engine/run/generate.h"

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/run/command.h"
#include "engine/run/engine_options.h"
#include "engine/run/prompt.h"

namespace preflight::run {
namespace {

struct GenerateOptions {
  EngineOptions engine;
  std::string request;
  std::string schema;
  std::uint32_t max_tokens = 256;
  engine::Sampling sampling;
  bool json = false;
};

const char* name(engine::FinishReason reason) {
  switch (reason) {
    case engine::FinishReason::kStop:
      return "stop";
    case engine::FinishReason::kLength:
      return "length";
    case engine::FinishReason::kSchema:
      return "schema";
  }
  PREFLIGHT_ASSERT(false);
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::kNotFound, fmt::format("{}: cannot be opened", path));
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (file.bad()) return fail(ErrorCode::kIo, fmt::format("{}: cannot be read", path));
  return text;
}

nlohmann::ordered_json choice_json(const engine::ChoiceReading& reading) {
  nlohmann::ordered_json literals = nlohmann::ordered_json::object();
  for (const auto& literal : reading.outcome.literals) literals[literal.json] = literal.probability;
  return {{"pointer", reading.outcome.pointer},
          {"taken", reading.outcome.literals.at(reading.outcome.taken).json},
          {"probabilities", std::move(literals)},
          {"outside", reading.outcome.outside},
          {"margin", reading.margin}};
}

Result<void> run_generate(const GenerateOptions& options) {
  PREFLIGHT_TRY_VOID(engine::check_sampling(options.sampling));
  PREFLIGHT_TRY(const CountedRequest counted,
                read_counted_request(options.request, options.engine.model));
  const std::uint64_t n_prompt = counted.expanded.ids.size();
  const auto start = std::chrono::steady_clock::now();
  PREFLIGHT_TRY(const std::unique_ptr<engine::Engine> engine,
                load_engine(options.engine, n_prompt + options.max_tokens));
  const std::chrono::duration<double> load_time = std::chrono::steady_clock::now() - start;

  engine::GenerateRow row;
  row.max_tokens = options.max_tokens;
  row.sampling = options.sampling;
  if (!options.schema.empty()) {
    PREFLIGHT_TRY(const std::string schema_text, read_file(options.schema));
    generate::ConstraintLimits limits;
    limits.max_tokens = options.max_tokens;
    PREFLIGHT_TRY(const generate::Schema schema,
                  generate::Schema::compile(schema_text, engine->vocabulary(), limits));
    row.constraint = schema.begin();
  }
  PREFLIGHT_TRY(const Prompt prompt, embed(counted, *engine));
  PREFLIGHT_TRY(row.sequence, engine->open());
  PREFLIGHT_TRY_VOID(engine->prefill(row.sequence, prompt.inputs));
  PREFLIGHT_TRY(const std::vector<engine::Generation> generations, engine->generate({&row, 1}));

  const engine::Generation& generation = generations.at(0);
  if (!options.json) return write_stdout(generation.text + "\n");
  const engine::Meter& meter = engine->meter();
  nlohmann::ordered_json out = {
      {"ids", generation.ids},
      {"text", engine->tokenizer().decode(generation.ids, /*keep_special=*/true)},
      {"finish_reason", name(generation.finish_reason)},
      {"timings",
       {{"prompt_tokens", n_prompt},
        {"generated_tokens", generation.ids.size() - generation.n_forced_tokens},
        {"forced_tokens", generation.n_forced_tokens},
        {"drafted_tokens", generation.n_drafted_tokens},
        {"accepted_tokens", generation.n_accepted_tokens},
        {"narrow_steps", meter.narrow_steps},
        {"load_ms", 1000 * load_time.count()},
        {"prefill_ms", 1000 * meter.prefill_seconds},
        {"generate_ms", 1000 * meter.generate_seconds},
        {"device", engine->device().name},
        {"peak_device_bytes", engine->peak_device_bytes()},
        {"reserved_device_bytes", engine->reserved_device_bytes()},
        {"planned_device_bytes", engine->memory_plan().total_bytes()}}}};
  if (!generation.choices.empty()) {
    out["choices"] = nlohmann::ordered_json::array();
    for (const engine::ChoiceReading& reading : generation.choices)
      out["choices"].push_back(choice_json(reading));
  }
  return write_stdout(out.dump() + "\n");
}

}  // namespace

void add_generate(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<GenerateOptions>();
  CLI::App* command = app.add_subcommand("generate", "Continue a request");
  add_engine_options(*command, options->engine);
  command->add_option("--request", options->request, "JSON file: ids, parts or messages")
      ->required();
  command->add_option("--max-tokens", options->max_tokens, "longest answer; default 256");
  command->add_option("--drafter", options->engine.drafter,
                      "GGUF file or Hugging Face directory of the model's drafter");
  command
      ->add_option("--draft-tokens", options->engine.draft_tokens,
                   "tokens to draft in each round, without a drafter literals of the schema "
                   "alone; default: with one as many as measurably pay")
      ->check(CLI::Range(0, 8));
  engine::Sampling& sampling = options->sampling;
  command->add_option("--temperature", sampling.temperature,
                      "0.01 to 100; default 0: always the likeliest token");
  command->add_option("--top-k", sampling.top_k,
                      "draw from the K likeliest tokens; default 0: all");
  command->add_option("--top-p", sampling.top_p,
                      "draw from the likeliest tokens that have this share; default 1: all");
  command->add_option(
      "--min-p", sampling.min_p,
      "draw from tokens that have this share of the likeliest one's; default 0: all");
  command->add_option("--seed", sampling.seed, "the same seed gives the same text; default 0")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--schema", options->schema, "JSON schema that the answer cannot leave");
  command->add_flag("--json", options->json, "ids, text, why it ended and timings as JSON");
  command->callback([options, &outcome] { outcome = run_generate(*options); });
}

}  // namespace preflight::run
