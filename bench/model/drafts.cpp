#include "bench/model/drafts.h"

#include <cstdint>
#include <fstream>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "bench/model/clock.h"
#include "engine/text/chat.h"

namespace preflight::bench {
namespace {

/// What the answers to all prompts took.
struct Totals {
  double seconds = 0;
  std::uint64_t n_tokens = 0, n_drafted = 0, n_accepted = 0;

  [[nodiscard]] double rate() const { return static_cast<double>(n_tokens) / seconds; }
};

Result<std::vector<engine::Input>> inputs_of(const engine::Engine& engine,
                                             const std::string& prompt) {
  text::Message message;
  message.content = prompt;
  PREFLIGHT_TRY(const std::vector<text::PromptPart> parts,
                text::render_chat({&message, 1}, {}, {}));
  std::vector<text::Segment> segments;
  for (const text::PromptPart& part : parts) segments.push_back(part.segment);
  std::vector<engine::Input> inputs;
  for (const std::int32_t id : engine.tokenizer().encode(segments)) inputs.push_back({.token = id});
  return inputs;
}

Result<std::vector<std::int32_t>> answer(engine::Engine& engine, engine::SequenceId prompt,
                                         bool draft, std::uint32_t n_tokens, Totals& totals) {
  engine::GenerateRow row;
  row.max_tokens = n_tokens;
  row.draft = draft;
  PREFLIGHT_TRY(row.sequence, engine.fork(prompt));
  const auto start = Clock::now();
  PREFLIGHT_TRY(std::vector<engine::Generation> answers, engine.generate({&row, 1}));
  totals.seconds += seconds_since(start);
  engine.close(row.sequence);
  engine::Generation& made = answers.at(0);
  totals.n_tokens += made.ids.size();
  totals.n_drafted += made.n_drafted_tokens;
  totals.n_accepted += made.n_accepted_tokens;
  return std::move(made.ids);
}

/// All prompts once, without and with drafts; which comes first changes from prompt to prompt.
Result<std::pair<Totals, Totals>> run_all(engine::Engine& engine, const ModelOptions& options) {
  std::pair<Totals, Totals> totals;
  bool draft_first = false;
  for (const std::string& prompt : options.prompts) {
    PREFLIGHT_TRY(const std::vector<engine::Input> inputs, inputs_of(engine, prompt));
    PREFLIGHT_TRY(const engine::SequenceId sequence, engine.open());
    PREFLIGHT_TRY_VOID(engine.prefill(sequence, inputs));
    std::vector<std::int32_t> ids[2];
    for (const bool draft : {draft_first, !draft_first}) {
      PREFLIGHT_TRY(ids[draft ? 1 : 0], answer(engine, sequence, draft, options.decode_tokens,
                                               draft ? totals.second : totals.first));
    }
    engine.close(sequence);
    if (ids[0] != ids[1])
      return fail(ErrorCode::kInternal,
                  fmt::format("the answer to \"{}\" is another one with drafts", prompt));
    draft_first = !draft_first;
  }
  return totals;
}

}  // namespace

Result<std::vector<std::string>> read_prompts(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::kNotFound, fmt::format("{}: cannot be opened", path.string()));
  std::vector<std::string> prompts;
  for (std::string line; std::getline(file, line);)
    if (!line.empty()) prompts.push_back(std::move(line));
  if (file.bad()) return fail(ErrorCode::kIo, fmt::format("{}: cannot be read", path.string()));
  if (prompts.empty())
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{}: is empty, expected one prompt a line", path.string()));
  return prompts;
}

Result<std::vector<Figure>> measure_drafts(engine::Engine& engine, const ModelOptions& options) {
  std::vector<double> plain;
  std::vector<double> drafted;
  std::vector<double> ratio;
  std::vector<double> n_drafted;
  std::vector<double> n_accepted;
  if (options.prompts.empty()) return std::vector<Figure>();
  // One more than is kept: the first run records its commands and measures what steps cost.
  for (std::uint32_t i = 0; i < options.repeats + 1; i++) {
    PREFLIGHT_TRY(const auto totals, run_all(engine, options));
    if (i == 0) continue;
    plain.push_back(totals.first.rate());
    drafted.push_back(totals.second.rate());
    ratio.push_back(totals.second.rate() / totals.first.rate());
    n_drafted.push_back(static_cast<double>(totals.second.n_drafted));
    n_accepted.push_back(static_cast<double>(totals.second.n_accepted));
  }
  return std::vector<Figure>{Figure::of("answers_plain", "tokens/s", std::move(plain)),
                             Figure::of("answers_drafted", "tokens/s", std::move(drafted)),
                             Figure::of("answers_ratio", "times", std::move(ratio)),
                             Figure::of("drafted", "tokens", std::move(n_drafted)),
                             Figure::of("accepted", "tokens", std::move(n_accepted))};
}

}  // namespace preflight::bench
