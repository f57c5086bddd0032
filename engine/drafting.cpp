#include "engine/drafting.h"

#include <algorithm>
#include <chrono>

#include "shaders/params/argmax.h"

namespace preflight::engine {
namespace {

using generate::StepCosts;

static_assert(generate::DraftPlanner::kMaxDrafts <= forward::kMaxDraftSteps);

/// All literals of a choice in one text.
std::string name_of(const auto& literals) {
  std::string name;
  for (const auto& literal : literals) name += literal.json + "\n";
  return name;
}

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
  std::vector<std::int32_t> literal;  ///< tokens to draft; empty: the drafter does
  std::int32_t token;                 ///< the newest, drafted or not
  std::uint32_t hidden_row;           ///< of the target's step, then of the last draft step
  std::uint32_t n_planned;            ///< drafts
  std::uint32_t room_tokens;          ///< positions left in the context
  bool going = true;
};

void Drafting::add_outcome(const Proposal& proposal, Answer& answer, bool accepted) {
  if (proposal.literal) {
    literal_acceptance_.add(accepted);
  } else {
    answer.acceptance.add(accepted);
    planner_.add_outcome(accepted);
  }
}

void Drafting::add_choice(const generate::ChoiceOutcome& outcome) {
  constexpr std::size_t kMostKept = 1024;  // of schemas long gone: begin anew
  if (taken_literals_.size() >= kMostKept) taken_literals_.clear();
  taken_literals_[name_of(outcome.literals)] = outcome.literals.at(outcome.taken).json;
}

/// The tokens that settle the choice at `state` if the guess is right, up to the text that the
/// schema then forces; none where the answer would be complete with them.
std::vector<std::int32_t> Drafting::guess(const generate::ConstraintState& state,
                                          const generate::Choice& choice) const {
  const auto taken = taken_literals_.find(name_of(choice.literals));
  std::size_t index = 0;
  while (taken != taken_literals_.end() && index + 1 < choice.literals.size() &&
         choice.literals[index].json != taken->second)
    index++;
  std::vector<std::int32_t> tokens;
  generate::ConstraintState at = state;
  for (const std::int32_t token : state.spell(index)) {
    if (!at.advance(token) || at.done()) break;
    tokens.push_back(token);
    if (!at.forced().empty() || !at.choice()) break;
  }
  return tokens;
}

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
    const std::optional<OpenChoice>& open = round.proposal.places.front().choice;
    std::vector<std::int32_t> literal =
        answer.may_draft && open ? guess(*answer.state, open->choice) : std::vector<std::int32_t>();
    const bool can_draft =
        answer.may_draft && drafter_ != nullptr && answer.hidden_row && n_pending == 1;
    if (room == 0 || n_pending == 0 || (literal.empty() && !can_draft)) {
      n_other_rows += n_pending;
      continue;
    }
    n_other_rows += n_pending - 1;
    std::uint32_t most = room;
    if (!literal.empty()) most = std::min(most, static_cast<std::uint32_t>(literal.size()));
    if (!answer.state)
      most = std::min(most,
                      answer.max_tokens - static_cast<std::uint32_t>(answer.result.ids.size()) - 1);
    const bool free = !literal.empty();
    candidates.push_back(
        {.acceptance = free ? literal_acceptance_.rate() : answer.acceptance.rate(),
         .most_drafts = most,
         .free = free});
    drafts.push_back({.round = &round,
                      .state = answer.state,
                      .literal = std::move(literal),
                      .token = round.sequence->pending.back().token,
                      .hidden_row = answer.hidden_row.value_or(0),
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
  proposal.places.push_back(rules.place(draft.state));
  // Behind forced text there is no hidden row to go on from.
  draft.going = n_forced == 0 && proposal.drafted.size() < draft.n_planned;
  return {};
}

/// As many draft steps at once as all of the drafts are to have: one where a constraint must first
/// be asked what may follow each token.
Result<void> Drafting::draft_steps(std::span<Draft*> drafts, bool first, const AnswerRules& rules,
                                   std::uint32_t& spare_rows) {
  std::vector<forward::DraftRow> rows;
  std::uint32_t n_steps = forward::kMaxDraftSteps;
  for (const Draft* draft : drafts) {
    const kv::SequencePages& pages = draft->round->sequence->pages;
    const Proposal& proposal = draft->round->proposal;
    rows.push_back({.pages = {pages.sliding(), pages.full()},
                    .newest_key = pages.length() - 1,
                    .token = draft->token,
                    .hidden_row = draft->hidden_row,
                    .mask = proposal.places.back().mask});
    const auto n_left = draft->n_planned - static_cast<std::uint32_t>(proposal.drafted.size());
    n_steps = std::min(n_steps, draft->state ? 1 : n_left);
  }
  const auto start = std::chrono::steady_clock::now();
  PREFLIGHT_TRY(
      const std::vector<std::uint32_t> tokens,
      drafter_->draft(rows, first ? forward::HiddenRows::kTarget : forward::HiddenRows::kDraft,
                      n_steps));
  const std::chrono::duration<double, std::milli> time = std::chrono::steady_clock::now() - start;
  planner_.add_draft_step(static_cast<std::uint32_t>(rows.size()), time.count() / n_steps);
  for (std::size_t i = 0; i < tokens.size(); i++) {
    Draft& draft = *drafts[i % drafts.size()];
    if (!draft.going) continue;
    draft.hidden_row = static_cast<std::uint32_t>(i % drafts.size());
    draft.token = static_cast<std::int32_t>(tokens[i]);
    if (tokens[i] == params::kNoToken)
      draft.going = false;
    else
      PREFLIGHT_TRY_VOID(take(draft, draft.token, rules, spare_rows));
  }
  return {};
}

Result<void> Drafting::propose(std::span<Round> rounds, const AnswerRules& rules,
                               const kv::Pools& pools, std::uint32_t context_tokens) {
  if (planner_.idle() || !pages_suffice(rounds, pools)) return {};
  std::uint32_t spare_rows = 0;
  std::vector<Draft> drafts = plan(rounds, context_tokens, spare_rows);
  for (Draft& draft : drafts) {
    draft.going = draft.n_planned > 0;
    if (draft.literal.empty()) continue;
    draft.round->proposal.literal = true;
    for (std::size_t i = 0; draft.going; i++)
      PREFLIGHT_TRY_VOID(take(draft, draft.literal[i], rules, spare_rows));
  }
  for (bool first = true;; first = false) {
    std::vector<Draft*> going;
    for (Draft& draft : drafts)
      if (draft.going) going.push_back(&draft);
    if (going.empty()) return {};
    PREFLIGHT_TRY_VOID(draft_steps(going, first, rules, spare_rows));
  }
}

}  // namespace preflight::engine
