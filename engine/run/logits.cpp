#include "engine/run/logits.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "engine/model/safetensors_write.h"
#include "engine/run/engine_options.h"
#include "engine/run/prompt.h"

namespace preflight::run {
namespace {

struct LogitsOptions {
  EngineOptions engine;
  std::string request;
  std::string positions = "last";
  std::string out;
};

/// "last", "all", or indices like "0,5,9" into a prompt of n ids; ascending, each once.
Result<std::vector<std::uint32_t>> parse_positions(const std::string& text, std::size_t n) {
  std::vector<std::uint32_t> positions;
  if (text == "last") return std::vector{static_cast<std::uint32_t>(n - 1)};
  if (text == "all") {
    for (std::uint32_t i = 0; i < n; i++) positions.push_back(i);
    return positions;
  }
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (;;) {
    std::uint32_t position = 0;
    const auto [next, error] = std::from_chars(at, end, position);
    if (error != std::errc() || (next != end && *next != ','))
      return fail(
          ErrorCode::kInvalidInput,
          fmt::format("--positions: found \"{}\", expected last, all or numbers like 0,5,9", text));
    if (position >= n)
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("--positions: {} is outside the prompt of {} ids", position, n));
    positions.push_back(position);
    if (next == end) break;
    at = next + 1;
  }
  std::sort(positions.begin(), positions.end());
  positions.erase(std::unique(positions.begin(), positions.end()), positions.end());
  return positions;
}

Result<void> run_logits(const LogitsOptions& options) {
  PREFLIGHT_TRY(const CountedRequest counted,
                read_counted_request(options.request, options.engine.model));
  const std::vector<std::int32_t>& ids = counted.expanded.ids;
  PREFLIGHT_TRY(const std::vector<std::uint32_t> positions,
                parse_positions(options.positions, ids.size()));
  PREFLIGHT_TRY(const std::unique_ptr<engine::Engine> engine,
                load_engine(options.engine, ids.size()));
  PREFLIGHT_TRY(const Prompt prompt, embed(counted, *engine));
  PREFLIGHT_TRY(const engine::SequenceId sequence, engine->open());

  std::vector<float> logits;
  logits.reserve(positions.size() * engine->config().vocab_size);
  PREFLIGHT_TRY_VOID(engine->logits(sequence, prompt.inputs, positions,
                                    [&](std::uint32_t, std::span<const float> row) {
                                      logits.insert(logits.end(), row.begin(), row.end());
                                    }));

  const std::vector<std::int32_t> signed_positions(positions.begin(), positions.end());
  const std::array<model::OutputTensor, 3> tensors = {
      model::OutputTensor{"ids", {ids.size()}, std::span<const std::int32_t>(ids)},
      model::OutputTensor{
          "positions", {positions.size()}, std::span<const std::int32_t>(signed_positions)},
      model::OutputTensor{"logits",
                          {positions.size(), engine->config().vocab_size},
                          std::span<const float>(logits)}};
  return model::write_safetensors(options.out, tensors);
}

}  // namespace

void add_logits(CLI::App& app, Result<void>& outcome) {
  const auto options = std::make_shared<LogitsOptions>();
  CLI::App* command = app.add_subcommand("logits", "Write the logits of a request");
  add_engine_options(*command, options->engine);
  command->add_option("--request", options->request, "JSON file: ids, parts or messages")
      ->required();
  command->add_option("--positions", options->positions,
                      "last, all, or numbers like 0,5,9; default last");
  command->add_option("--out", options->out, "safetensors file with ids, positions and logits")
      ->required();
  command->callback([options, &outcome] { outcome = run_logits(*options); });
}

}  // namespace preflight::run
