#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/generate/step_costs.h"

namespace preflight::generate {

/// How likely the next draft of one answer is accepted, from its earlier ones; the newest count
/// most.
class Acceptance {
 public:
  /// `expected`: what is expected before anything was seen.
  explicit Acceptance(double expected) : rate_(expected) {}

  /// One draft that the target looked at: all accepted ones of a round, and the first rejected.
  void add(bool accepted) { rate_ += kShare * ((accepted ? 1.0 : 0.0) - rate_); }
  [[nodiscard]] double rate() const { return rate_; }

 private:
  static constexpr double kShare = 0.1;
  double rate_;
};

/// One answer of a round.
struct DraftCandidate {
  double acceptance = 0;
  std::uint32_t most_drafts = 0;  ///< 0: it goes on by one token
  bool free = false;              ///< known without draft steps
};

/// Decides how many tokens to draft for each answer of a round: as many as give the most tokens per
/// second by what steps and draft steps were measured to cost, and none where drafting does not
/// pay.
class DraftPlanner {
 public:
  static constexpr std::uint32_t kMaxDrafts = 8;  ///< of one answer in one round

  /// `fixed`: drafts of every round, whatever they cost; for measurements and tests.
  explicit DraftPlanner(std::optional<std::uint32_t> fixed) : fixed_(fixed) {}

  /// Nothing will ever be drafted.
  [[nodiscard]] bool idle() const { return fixed_ == 0u; }
  void add_target_step(std::uint32_t n_rows, double ms) { target_.add(n_rows, ms); }
  void add_draft_step(std::uint32_t n_rows, double ms) { draft_.add(n_rows, ms); }
  /// A round of the target: the rows it would have had without drafts, the tokens that it gave, and
  /// its time, drafting included.
  void add_round(std::uint32_t n_answers, std::uint32_t n_plain_rows, bool drafted,
                 std::uint32_t n_tokens, double ms);
  void add_outcome(bool accepted) { acceptance_.add(accepted); }
  /// What to expect of an answer that has shown nothing yet.
  [[nodiscard]] double expected_acceptance() const { return acceptance_.rate(); }

  /// Drafts for each candidate; with one further row for each of them, and `n_other_rows` besides,
  /// at most StepCosts::kMaxRows rows in all.
  [[nodiscard]] std::vector<std::uint32_t> plan(std::span<const DraftCandidate> candidates,
                                                std::uint32_t n_other_rows) const;

 private:
  [[nodiscard]] std::vector<std::uint32_t> plan_fixed(std::span<const DraftCandidate> candidates,
                                                      std::uint32_t room) const;

  std::optional<std::uint32_t> fixed_;
  StepCosts target_;
  StepCosts draft_;
  Acceptance acceptance_{0.6};
  /// What drafting has saved, in plain steps. Below 0 nothing is drafted until plain steps have
  /// paid for it: whatever the estimates say, it costs no more than this and a share of the time.
  double balance_steps_ = kLargestDebt;
  static constexpr double kLargestDebt = 4;
};

}  // namespace preflight::generate
