#include "bench/review/review.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <vector>

#include "engine/generate/constraint.h"

namespace preflight::bench {
namespace {

using Ids = std::vector<std::int32_t>;

/// Variants whose answers are written together.
std::uint32_t group_variants(const Workload& workload) {
  const auto n_checks = static_cast<std::uint32_t>(workload.checks.size());
  const auto n_variants = static_cast<std::uint32_t>(workload.variants.size());
  return std::clamp(engine::kMaxNarrowRows / n_checks, 1u, n_variants);
}

std::vector<engine::Input> inputs_of(const Ids& ids) {
  std::vector<engine::Input> inputs;
  for (const std::int32_t id : ids) inputs.push_back({.token = id});
  return inputs;
}

Result<void> review_group(engine::Engine& engine, const Workload& workload,
                          engine::SequenceId brief, std::span<const Ids> group,
                          const generate::Schema& schema) {
  std::vector<engine::SequenceId> variants;
  std::vector<std::vector<engine::Input>> texts;
  for (const Ids& variant : group) {
    PREFLIGHT_TRY(const engine::SequenceId fork, engine.fork(brief));
    variants.push_back(fork);
    texts.push_back(inputs_of(variant));
  }
  PREFLIGHT_TRY_VOID(engine.prefill_many(variants, texts));

  std::vector<engine::SequenceId> answers;
  std::vector<engine::GenerateRow> rows;
  texts.clear();
  for (const engine::SequenceId variant : variants)
    for (const Ids& check : workload.checks) {
      PREFLIGHT_TRY(const engine::SequenceId fork, engine.fork(variant));
      answers.push_back(fork);
      texts.push_back(inputs_of(check));
      rows.push_back({.sequence = fork, .constraint = schema.begin()});
    }
  PREFLIGHT_TRY_VOID(engine.prefill_many(answers, texts));
  PREFLIGHT_TRY([[maybe_unused]] const auto written, engine.generate(rows));
  for (const engine::SequenceId sequence : answers) engine.close(sequence);
  for (const engine::SequenceId sequence : variants) engine.close(sequence);
  return {};
}

}  // namespace

std::uint32_t review_sequences(const Workload& workload) {
  const auto n_checks = static_cast<std::uint32_t>(workload.checks.size());
  return 1 + group_variants(workload) * (1 + n_checks);
}

Result<ReviewCost> review(engine::Engine& engine, const Workload& workload) {
  PREFLIGHT_TRY(const generate::Schema schema,
                generate::Schema::compile(workload.schema, engine.vocabulary(), {}));
  const engine::Meter before = engine.meter();
  const auto start = std::chrono::steady_clock::now();
  PREFLIGHT_TRY(const engine::SequenceId brief, engine.open());
  PREFLIGHT_TRY_VOID(engine.prefill(brief, inputs_of(workload.prefix)));
  const std::span<const Ids> variants = workload.variants;
  const std::size_t n_group = group_variants(workload);
  for (std::size_t first = 0; first < variants.size(); first += n_group)
    PREFLIGHT_TRY_VOID(
        review_group(engine, workload, brief,
                     variants.subspan(first, std::min(n_group, variants.size() - first)), schema));
  engine.close(brief);

  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  const engine::Meter& after = engine.meter();
  const std::uint64_t n_answers = workload.variants.size() * workload.checks.size();
  ReviewCost cost;
  cost.seconds = taken.count();
  // The last token of each prompt waits for the first step of its answer.
  cost.read_tokens = after.prefilled_tokens - before.prefilled_tokens + n_answers;
  cost.forced_tokens = after.forced_tokens - before.forced_tokens;
  cost.written_tokens = after.generated_tokens - before.generated_tokens + cost.forced_tokens;
  cost.steps = after.narrow_steps + after.wide_steps - before.narrow_steps - before.wide_steps;
  return cost;
}

}  // namespace preflight::bench
