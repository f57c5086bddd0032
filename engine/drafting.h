#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/answer.h"
#include "engine/forward/arena.h"
#include "engine/forward/drafter.h"
#include "engine/generate/draft_planner.h"
#include "engine/kv/sequence_pages.h"
#include "engine/scheduler.h"
#include "vk/error.h"

namespace preflight::engine {

/// Tokens that an answer may go on with after what it appends for certain; the target's next step
/// decides.
struct Proposal {
  std::vector<std::int32_t> drafted;
  std::vector<std::int32_t> forced;  ///< what the schema forces if all of them are accepted
  /// The place of each draft, then that behind the whole proposal: one more.
  std::vector<Place> places;
  bool literal = false;  ///< the drafts spell a literal of a choice

  [[nodiscard]] std::size_t n_tokens() const { return drafted.size() + forced.size(); }
};

/// One answer's part in a step.
struct Round {
  Answer* answer = nullptr;
  Sequence* sequence = nullptr;
  std::uint32_t next_position = 0;  ///< of the first token that the step decides
  Proposal proposal;
  std::size_t n_confirmed = 0;  ///< tokens of the proposal that have become part of the answer
  bool open = true;             ///< no row of the step has decided otherwise yet
};

/// Fills the proposals of a round (docs/model.md#drafter): where an answer stands at a choice, with
/// a literal of it, which costs no draft step; elsewhere with the drafter. Works between two steps
/// of the target.
class Drafting {
 public:
  /// `drafter` may be null: literals alone are drafted.
  Drafting(forward::Drafter* drafter, std::optional<std::uint32_t> fixed_drafts)
      : drafter_(drafter), planner_(fixed_drafts) {}

  /// Extends the proposals, whose places hold that of the next token. What the schema forces is
  /// never drafted: an answer with forced text pending gets no drafts, and forced text behind a
  /// draft follows it as it is. Nor is a token drafted behind which the answer is complete.
  [[nodiscard]] Result<void> propose(std::span<Round> rounds, const AnswerRules& rules,
                                     const kv::Pools& pools, std::uint32_t context_tokens);

  [[nodiscard]] generate::DraftPlanner& planner() { return planner_; }
  /// One draft of this proposal that the target looked at.
  void add_outcome(const Proposal& proposal, Answer& answer, bool accepted);
  /// The literal that an answer took is the guess for the next choice of the same ones.
  void add_choice(const generate::ChoiceOutcome& outcome);

 private:
  /// A round that drafts, and where its drafting stands.
  struct Draft;
  [[nodiscard]] std::vector<Draft> plan(std::span<Round> rounds, std::uint32_t context_tokens,
                                        std::uint32_t& spare_rows) const;
  [[nodiscard]] std::vector<std::int32_t> guess(const generate::ConstraintState& state,
                                                const generate::Choice& choice) const;
  Result<void> draft_steps(std::span<Draft*> drafts, bool first, const AnswerRules& rules,
                           std::uint32_t& spare_rows);
  static Result<void> take(Draft& draft, std::int32_t token, const AnswerRules& rules,
                           std::uint32_t& spare_rows);

  forward::Drafter* drafter_;
  generate::DraftPlanner planner_;
  generate::Acceptance literal_acceptance_{0.5};
  std::unordered_map<std::string, std::string> taken_literals_;  ///< by all that could be taken
};

}  // namespace preflight::engine
