#include "engine/drafting.h"

#include <algorithm>
#include <chrono>

#include "shaders/params/argmax.h"

namespace preflight::engine {
namespace {

using generate::StepCosts;

/// Whether the pools have room for a full narrow step behind every sequence: drafts must never be
/// what makes a step fail that would have fitted.
bool pages_suffice(std::span<const Round> rounds, const kv::Pools& pools) {
  std::size_t need = 0;
  for (const Round& round : rounds) {
    const kv::SequencePages& pages = round.sequence->pages;
    const std::size_t n_rows = round.sequence->pending.size() + StepCosts::kMaxRows;
    const std::size_t n_pages =
        (pages.length() + n_rows + pools.page_tokens - 1) / pools.page_tokens;
    need += n_pages - pages.full().size() + 1;  // one to copy, where the last is shared
  }
  return need <= std::min(pools.sliding.n_free(), pools.full.n_free());
}

}  // namespace

struct Drafting::Draft {
  Round* round;
  std::optional<generate::ConstraintState> state;
  std::int32_t token;         ///< the newest, drafted or not
  std::uint32_t hidden_row;   ///< of the target's step, then of the last draft step
  std::uint32_t n_planned;    ///< drafts
  std::uint32_t room_tokens;  ///< positions left in the context
  bool going = true;
};

std::vector<Drafting::Draft> Drafting::plan(std::span<Round> rounds, std::uint32_t context_tokens,
                                            std::uint32_t& spare_rows) const {
  std::vector<Draft> drafts;
  std::vector<generate::DraftCandidate> candidates;
  std::uint32_t n_other_rows = 0;
  for (Round& round : rounds) {
    const Answer& answer = *round.answer;
    const auto n_pending = static_cast<std::uint32_t>(round.sequence->pending.size());
    const std::uint32_t end = round.sequence->pages.length() + n_pending;
    const std::uint32_t room = end < context_tokens ? context_tokens - end : 0;
    if (!answer.hidden_row || n_pending != 1 || room == 0) {
      n_other_rows += n_pending;
      continue;
    }
    std::uint32_t most = room;
    if (!answer.state)
      most = std::min(most,
                      answer.max_tokens - static_cast<std::uint32_t>(answer.result.ids.size()) - 1);
    candidates.push_back({.acceptance = answer.acceptance.rate(), .most_drafts = most});
    drafts.push_back({.round = &round,
                      .state = answer.state,
                      .token = round.sequence->pending.front().token,
                      .hidden_row = *answer.hidden_row,
                      .n_planned = 0,
                      .room_tokens = room});
  }
  const std::vector<std::uint32_t> planned = planner_.plan(candidates, n_other_rows);
  std::uint32_t n_rows = n_other_rows + static_cast<std::uint32_t>(drafts.size());
  for (std::size_t i = 0; i < drafts.size(); i++) {
    drafts[i].n_planned = planned[i];
    n_rows += planned[i];
  }
  spare_rows = n_rows < StepCosts::kMaxRows ? StepCosts::kMaxRows - n_rows : 0;
  return drafts;
}

/// One draft step; every draft's token is then the best one, params::kNoToken's bits where there is
/// none.
Result<void> Drafting::draft_step(std::span<Draft*> drafts, bool first) {
  std::vector<forward::DraftRow> rows;
  for (const Draft* draft : drafts) {
    const kv::SequencePages& pages = draft->round->sequence->pages;
    rows.push_back({.pages = {pages.sliding(), pages.full()},
                    .newest_key = pages.length() - 1,
                    .token = draft->token,
                    .hidden_row = draft->hidden_row,
                    .mask = draft->round->proposal.masks.back()});
  }
  const auto start = std::chrono::steady_clock::now();
  PREFLIGHT_TRY(
      const std::vector<params::ArgmaxEntry> best,
      drafter_.step(rows, first ? forward::HiddenRows::kTarget : forward::HiddenRows::kDraft));
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  planner_.add_draft_step(static_cast<std::uint32_t>(rows.size()), time.count());
  for (std::uint32_t i = 0; i < best.size(); i++) {
    drafts[i]->going = best[i].token != params::kNoToken;
    drafts[i]->token = static_cast<std::int32_t>(best[i].token);
    drafts[i]->hidden_row = i;
  }
  return {};
}

/// Adds a drafted token to the proposal, unless the answer would be complete with it: the row
/// before it decides that as well.
Result<void> Drafting::take(Draft& draft, std::int32_t token, const AnswerRules& rules,
                            std::uint32_t& spare_rows) {
  Proposal& proposal = draft.round->proposal;
  draft.going = false;
  if (rules.is_stop(token)) return {};
  std::vector<std::int32_t> forced;
  if (draft.state) {
    PREFLIGHT_TRY_VOID(draft.state->advance(token));
    PREFLIGHT_TRY(forced, advance_forced(*draft.state));
    if (draft.state->done()) return {};
  }
  const auto n_forced = static_cast<std::uint32_t>(forced.size());
  if (n_forced > spare_rows || proposal.n_tokens() + 1 + n_forced > draft.room_tokens) return {};
  spare_rows -= n_forced;
  proposal.drafted.push_back(token);
  proposal.forced = std::move(forced);
  proposal.masks.push_back(rules.mask(draft.state));
  // Behind forced text there is no hidden row to go on from.
  draft.going = n_forced == 0 && proposal.drafted.size() < draft.n_planned;
  return {};
}

Result<void> Drafting::propose(std::span<Round> rounds, const AnswerRules& rules,
                               const kv::Pools& pools, std::uint32_t context_tokens) {
  if (!pages_suffice(rounds, pools)) return {};
  std::uint32_t spare_rows = 0;
  std::vector<Draft> drafts = plan(rounds, context_tokens, spare_rows);
  for (Draft& draft : drafts) draft.going = draft.n_planned > 0;
  for (bool first = true;; first = false) {
    std::vector<Draft*> going;
    for (Draft& draft : drafts)
      if (draft.going) going.push_back(&draft);
    if (going.empty()) return {};
    PREFLIGHT_TRY_VOID(draft_step(going, first));
    for (Draft* draft : going)
      if (draft->going) PREFLIGHT_TRY_VOID(take(*draft, draft->token, rules, spare_rows));
  }
}

}  // namespace preflight::engine
