#include "bench/review/review.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <vector>

#include "engine/generate/constraint.h"

namespace preflight::bench {
namespace {

using engine::SequenceId;
using Inputs = std::vector<engine::Input>;

/// Variants whose answers are written together.
std::uint32_t group_variants(const Workload& workload) {
  const auto n_checks = static_cast<std::uint32_t>(workload.checks.size());
  const auto n_variants = static_cast<std::uint32_t>(workload.variants.size());
  return std::clamp(engine::kMaxNarrowRows / n_checks, 1u, n_variants);
}

void append(Inputs& to, const Ids& ids) {
  for (const std::int32_t id : ids) to.push_back({.token = id});
}

Inputs inputs_of(const Ids& ids) {
  Inputs inputs;
  append(inputs, ids);
  return inputs;
}

class Reviews {
 public:
  Reviews(engine::Engine& engine, const Workload& workload, const generate::Schema& schema)
      : engine_(engine), workload_(workload), schema_(schema) {}

  Result<void> review_group(std::span<const Workload::Variant> group) {
    std::vector<SequenceId> variants;
    std::vector<Inputs> texts;
    for (const Workload::Variant& variant : group) {
      Inputs frames = inputs_of(workload_.prefix);
      append(frames, variant.frames);
      PREFLIGHT_TRY(const SequenceId sequence, begin(frames));
      variants.push_back(sequence);
      texts.emplace_back(frames.begin() + engine_.length(sequence), frames.end());
    }
    PREFLIGHT_TRY_VOID(engine_.prefill_many(variants, texts));
    if (!workload_.look.empty()) PREFLIGHT_TRY_VOID(ask(variants, {&workload_.look, 1}));
    texts.clear();
    for (const Workload::Variant& variant : group) texts.push_back(inputs_of(variant.brief));
    PREFLIGHT_TRY_VOID(engine_.prefill_many(variants, texts));
    PREFLIGHT_TRY_VOID(ask(variants, workload_.checks));
    for (const SequenceId sequence : variants) engine_.close(sequence);
    return {};
  }

  [[nodiscard]] std::uint64_t n_answers() const { return n_answers_; }

 private:
  /// A sequence that holds the prefix, or all of it but its last token: read where no earlier
  /// variant has, else found.
  Result<SequenceId> begin(const Inputs& prompt) {
    PREFLIGHT_TRY(const engine::CachedSequence opened, engine_.open_cached(prompt));
    const std::size_t n_prefix = workload_.prefix.size();
    if (opened.n_cached + 1 >= n_prefix) return opened.sequence;
    PREFLIGHT_TRY_VOID(engine_.prefill(
        opened.sequence, std::span(prompt).subspan(opened.n_cached, n_prefix - opened.n_cached)));
    engine_.bookmark(opened.sequence);
    return opened.sequence;
  }

  /// Every question to every variant, all answers written together.
  Result<void> ask(std::span<const SequenceId> variants, std::span<const Ids> questions) {
    std::vector<SequenceId> forks;
    std::vector<Inputs> texts;
    std::vector<engine::GenerateRow> rows;
    for (const SequenceId variant : variants)
      for (const Ids& question : questions) {
        PREFLIGHT_TRY(const SequenceId fork, engine_.fork(variant));
        forks.push_back(fork);
        texts.push_back(inputs_of(question));
        rows.push_back({.sequence = fork, .constraint = schema_.begin()});
      }
    PREFLIGHT_TRY_VOID(engine_.prefill_many(forks, texts));
    PREFLIGHT_TRY([[maybe_unused]] const auto written, engine_.generate(rows));
    n_answers_ += rows.size();
    for (const SequenceId fork : forks) engine_.close(fork);
    return {};
  }

  engine::Engine& engine_;
  const Workload& workload_;
  const generate::Schema& schema_;
  std::uint64_t n_answers_ = 0;
};

}  // namespace

std::uint32_t review_sequences(const Workload& workload) {
  const auto n_checks = static_cast<std::uint32_t>(workload.checks.size());
  return group_variants(workload) * (1 + n_checks);
}

std::uint32_t review_tokens(const Workload& workload) {
  constexpr std::uint32_t kAnswerTokens = 256;  // of pages for a question and its answer
  const std::uint32_t per_variant =
      workload.longest_variant_tokens() + static_cast<std::uint32_t>(workload.checks.size()) *
                                              (workload.longest_question_tokens() + kAnswerTokens);
  return static_cast<std::uint32_t>(workload.prefix.size()) +
         group_variants(workload) * per_variant;
}

Result<ReviewCost> review(engine::Engine& engine, const Workload& workload) {
  PREFLIGHT_TRY(const generate::Schema schema,
                generate::Schema::compile(workload.schema, engine.vocabulary(), {}));
  const engine::Meter before = engine.meter();
  const auto start = std::chrono::steady_clock::now();
  Reviews reviews(engine, workload, schema);
  const std::span<const Workload::Variant> variants = workload.variants;
  const std::size_t n_group = group_variants(workload);
  for (std::size_t first = 0; first < variants.size(); first += n_group)
    PREFLIGHT_TRY_VOID(
        reviews.review_group(variants.subspan(first, std::min(n_group, variants.size() - first))));

  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  const engine::Meter& after = engine.meter();
  ReviewCost cost;
  cost.seconds = taken.count();
  cost.answers = reviews.n_answers();
  // The last token of each prompt waits for the first step of its answer.
  cost.read_tokens = after.prefilled_tokens - before.prefilled_tokens + cost.answers;
  cost.cached_tokens = after.cached_tokens - before.cached_tokens;
  cost.forced_tokens = after.forced_tokens - before.forced_tokens;
  cost.written_tokens = after.generated_tokens - before.generated_tokens + cost.forced_tokens;
  cost.steps = after.narrow_steps + after.wide_steps - before.narrow_steps - before.wide_steps;
  cost.saved_steps = after.saved_steps - before.saved_steps;
  cost.draft_saved_steps = after.draft_saved_steps - before.draft_saved_steps;
  return cost;
}

}  // namespace preflight::bench
