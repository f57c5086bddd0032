// Greedy generation of several answers at once: one step a round for all of them.

#include <algorithm>
#include <array>
#include <limits>

#include <fmt/format.h>

#include "engine/engine_impl.h"

namespace preflight::engine {
namespace {

/// One answer in the making.
struct Answer {
  SequenceId sequence{};
  std::optional<generate::ConstraintState> state;
  std::uint32_t max_tokens = 0;
  generate::ChoiceReader choices;
  std::string open_pointer;  ///< of the choice that is open; empty: none
  double open_margin = 0;
  Generation result;
  bool ended = false;

  /// Text that the schema leaves no choice about, taken into the answer.
  Result<std::vector<std::int32_t>> take_forced() {
    std::vector<std::int32_t> taken;
    if (!state) return taken;
    for (std::vector<std::int32_t> ids = state->forced(); !ids.empty(); ids = state->forced()) {
      for (const std::int32_t id : ids) {
        PREFLIGHT_TRY_VOID(state->advance(id));
        taken.push_back(id);
      }
      if (state->done()) break;
    }
    result.n_forced_tokens += static_cast<std::uint32_t>(taken.size());
    result.ids.insert(result.ids.end(), taken.begin(), taken.end());
    return taken;
  }
};

/// The gap between the two best logits that the mask allows.
double margin_of(std::span<const float> logits, std::span<const std::uint32_t> mask) {
  std::array<float, 2> best;
  best.fill(-std::numeric_limits<float>::infinity());
  for (std::size_t id = 0; id < logits.size(); id++) {
    if ((mask[id / 32] >> (id % 32) & 1) == 0) continue;
    if (logits[id] > best[0]) {
      best[1] = best[0];
      best[0] = logits[id];
    } else if (logits[id] > best[1]) {
      best[1] = logits[id];
    }
  }
  return static_cast<double>(best[0]) - static_cast<double>(best[1]);
}

/// What an answer may continue with: its constraint's mask, with the stop tokens where it may end.
std::vector<std::uint32_t> mask_of(const Answer& answer,
                                   std::span<const std::uint32_t> free_text_mask,
                                   std::span<const std::int32_t> stop) {
  if (!answer.state) return {free_text_mask.begin(), free_text_mask.end()};
  std::vector<std::uint32_t> mask = *answer.state->mask();
  if (answer.state->can_stop())
    for (const std::int32_t id : stop) mask[static_cast<std::uint32_t>(id) / 32] |= 1u << (id % 32);
  return mask;
}

}  // namespace

Result<std::vector<Generation>> Engine::generate(
    std::span<const GenerateRow> rows, const Cancelled& cancelled,
    const std::function<void(std::size_t row, std::int32_t id)>& on_token) {
  Impl& impl = *impl_;
  const Stopwatch stopwatch(impl.meter.generate_seconds);
  const std::vector<std::int32_t>& stop = special_tokens().stop;
  const auto is_stop = [&](std::int32_t id) {
    return std::find(stop.begin(), stop.end(), id) != stop.end();
  };

  std::vector<Answer> answers;
  for (const GenerateRow& row : rows) {
    if (impl.at(row.sequence).pending.empty())
      return fail(
          ErrorCode::kInvalidInput,
          "generation needs a token to go on from: the sequence is empty or ends in an image");
    answers.push_back({.sequence = row.sequence,
                       .state = row.constraint,
                       .max_tokens = row.max_tokens,
                       .choices = generate::ChoiceReader(stop),
                       .open_pointer = {},
                       .open_margin = 0,
                       .result = {},
                       .ended = row.max_tokens == 0 && !row.constraint});
  }

  std::vector<float> logits;
  for (;;) {
    // What each answer appends in this step: what is pending, then what its schema forces.
    std::vector<std::size_t> active;
    std::vector<Work> works;
    std::vector<std::vector<std::uint32_t>> masks;
    for (std::size_t ix = 0; ix < answers.size(); ix++) {
      Answer& answer = answers[ix];
      if (answer.ended) continue;
      PREFLIGHT_TRY(const std::vector<std::int32_t> forced, answer.take_forced());
      impl.meter.forced_tokens += forced.size();
      Sequence& sequence = impl.at(answer.sequence);
      for (const std::int32_t id : forced) {
        sequence.pending.push_back({.token = id, .soft_row = {}});
        if (on_token) on_token(ix, id);
      }
      if (answer.state && answer.state->done()) {
        answer.ended = true;
        answer.result.finish_reason = FinishReason::kSchema;
        continue;
      }
      Work work = impl.work_of(answer.sequence, {});
      work.wanted = {static_cast<std::uint32_t>(work.inputs.size() - 1)};
      works.push_back(std::move(work));
      masks.push_back(mask_of(answer, impl.free_text_mask, stop));
      active.push_back(ix);
    }
    if (active.empty()) break;

    const auto take_rows = [&](std::span<const WantedRow> wanted) -> Result<void> {
      std::vector<std::uint32_t> step_rows;
      std::vector<std::span<const std::uint32_t>> step_masks;
      for (const WantedRow& row : wanted) {
        step_rows.push_back(row.row);
        step_masks.push_back(masks[row.work]);
      }
      PREFLIGHT_TRY(const std::vector<params::ArgmaxEntry> best,
                    impl.decoder->head(step_rows, step_masks));
      for (std::uint32_t i = 0; i < wanted.size(); i++) {
        Answer& answer = answers[active[wanted[i].work]];
        if (best[i].token == 0xffffffffu)
          return fail(ErrorCode::kInternal, "no token was allowed, or every logit was NaN");
        const auto token = static_cast<std::int32_t>(best[i].token);

        if (answer.state) {
          if (const auto choice = answer.state->choice()) {
            logits.resize(config().vocab_size);
            PREFLIGHT_TRY_VOID(impl.decoder->read_logits(impl.uploader, i, logits));
            if (answer.open_pointer != choice->pointer) {
              answer.open_pointer = choice->pointer;
              answer.open_margin = margin_of(logits, step_masks[i]);
            }
            PREFLIGHT_TRY_VOID(answer.choices.read(*answer.state, logits, token));
            for (generate::ChoiceOutcome& outcome : answer.choices.take()) {
              answer.result.choices.push_back({std::move(outcome), answer.open_margin});
              answer.open_pointer.clear();
            }
          }
        }

        answer.result.ids.push_back(token);
        if (on_token) on_token(active[wanted[i].work], token);
        // Only now is what was pending part of the cache; the new token is what is pending next.
        impl.at(answer.sequence).pending.assign(1, {.token = token, .soft_row = {}});
        if (is_stop(token)) {
          answer.ended = true;
          answer.result.finish_reason = FinishReason::kStop;
        } else if (answer.state) {
          PREFLIGHT_TRY_VOID(answer.state->advance(token));
          if (answer.state->done()) {
            answer.ended = true;
            answer.result.finish_reason = FinishReason::kSchema;
          }
        } else if (answer.result.ids.size() >= answer.max_tokens) {
          answer.ended = true;
          answer.result.finish_reason = FinishReason::kLength;
        }
        impl.meter.generated_tokens++;
      }
      return {};
    };
    PREFLIGHT_TRY_VOID(impl.scheduler->run(
        works, take_rows,
        [&](std::uint32_t n_rows) {
          if (n_rows <= kMaxNarrowRows)
            impl.meter.narrow_steps++;
          else
            impl.meter.wide_steps++;
        },
        cancelled));
  }

  std::vector<Generation> results;
  for (Answer& answer : answers) {
    Generation& result = answer.result;
    const std::size_t n_text =
        result.finish_reason == FinishReason::kStop ? result.ids.size() - 1 : result.ids.size();
    result.text = tokenizer().decode(std::span(result.ids).first(n_text), /*keep_special=*/true);
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace preflight::engine
