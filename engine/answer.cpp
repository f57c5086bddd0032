#include "engine/answer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <utility>

namespace preflight::engine {
namespace {

/// The gap between the two best logits.
double margin_of(std::span<const float> logits) {
  std::array<float, 2> best;
  best.fill(-std::numeric_limits<float>::infinity());
  for (const float logit : logits) {
    if (logit > best[0]) {
      best[1] = best[0];
      best[0] = logit;
    } else if (logit > best[1]) {
      best[1] = logit;
    }
  }
  return static_cast<double>(best[0]) - static_cast<double>(best[1]);
}

}  // namespace

bool AnswerRules::is_stop(std::int32_t id) const {
  return std::find(stop.begin(), stop.end(), id) != stop.end();
}

Place AnswerRules::place(const std::optional<generate::ConstraintState>& state) const {
  if (!state) return {.mask = free_text_mask, .choice = {}};
  Place place{.mask = state->mask(), .choice = {}};
  if (std::optional<generate::Choice> choice = state->choice()) {
    std::vector<std::uint32_t> tokens = generate::choice_tokens(*choice, stop);
    place.choice = {.choice = std::move(*choice), .tokens = std::move(tokens)};
  }
  if (!state->can_stop()) return place;
  std::vector<std::uint32_t> with_stop = *place.mask;
  for (const std::int32_t id : stop)
    with_stop[static_cast<std::uint32_t>(id) / 32] |= 1u << (id % 32);
  place.mask = std::make_shared<const std::vector<std::uint32_t>>(std::move(with_stop));
  return place;
}

Result<std::vector<std::int32_t>> advance_forced(generate::ConstraintState& state) {
  std::vector<std::int32_t> taken;
  for (std::vector<std::int32_t> ids = state.forced(); !ids.empty(); ids = state.forced()) {
    for (const std::int32_t id : ids) {
      PREFLIGHT_TRY_VOID(state.advance(id));
      taken.push_back(id);
    }
    if (state.done()) break;
  }
  return taken;
}

Result<std::vector<std::int32_t>> Answer::take_forced() {
  if (!state) return std::vector<std::int32_t>();
  PREFLIGHT_TRY(std::vector<std::int32_t> taken, advance_forced(*state));
  result.n_forced_tokens += static_cast<std::uint32_t>(taken.size());
  result.ids.insert(result.ids.end(), taken.begin(), taken.end());
  return taken;
}

Result<void> Answer::take(std::int32_t token, const AnswerRules& rules) {
  result.ids.push_back(token);
  if (rules.is_stop(token)) {
    ended = true;
    result.finish_reason = FinishReason::kStop;
  } else if (state) {
    PREFLIGHT_TRY_VOID(state->advance(token));
    if (state->done()) {
      ended = true;
      result.finish_reason = FinishReason::kSchema;
    }
  } else if (result.ids.size() >= max_tokens) {
    ended = true;
    result.finish_reason = FinishReason::kLength;
  }
  return {};
}

Result<void> Answer::read_choice(const generate::Choice& choice, const forward::RowSoftmax& softmax,
                                 std::int32_t token) {
  if (open_pointer != choice.pointer) {
    open_pointer = choice.pointer;
    open_margin = margin_of(softmax.logits);
  }
  PREFLIGHT_TRY_VOID(choices.read(choice, softmax.sum, softmax.logits, token));
  for (generate::ChoiceOutcome& outcome : choices.take()) {
    result.choices.push_back({std::move(outcome), open_margin});
    open_pointer.reset();
  }
  return {};
}

}  // namespace preflight::engine
