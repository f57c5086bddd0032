#include "engine/generate/draft_planner.h"

#include <algorithm>
#include <cmath>

namespace preflight::generate {
namespace {

/// The answer whose next draft is likeliest to be accepted, that is to say reached and right;
/// candidates.size() where none may have more.
std::size_t likeliest(std::span<const DraftCandidate> candidates,
                      std::span<const std::uint32_t> drafts) {
  std::size_t best = candidates.size();
  double best_chance = 0;
  for (std::size_t i = 0; i < candidates.size(); i++) {
    if (drafts[i] >= std::min(candidates[i].most_drafts, DraftPlanner::kMaxDrafts)) continue;
    const double chance = std::pow(candidates[i].acceptance, drafts[i] + 1);
    if (chance > best_chance) {
      best = i;
      best_chance = chance;
    }
  }
  return best;
}

}  // namespace

void DraftPlanner::add_round(std::uint32_t n_answers, std::uint32_t n_plain_rows, bool drafted,
                             std::uint32_t n_tokens, double ms) {
  constexpr double kShareOfTime = 0.01;
  constexpr double kLargestLoss = 3;  // of one round: more is an interruption by other work
  double saved_steps = kShareOfTime;
  if (drafted) {
    const std::optional<double> plain_ms = target_.estimate(n_plain_rows);
    if (!plain_ms) return;
    const double plain_steps = static_cast<double>(n_tokens) / n_answers;
    saved_steps = std::max(plain_steps - ms / *plain_ms, -kLargestLoss);
  }
  // Savings are soon forgotten: text that drafts do not fit must be noticed at once.
  balance_steps_ = std::min(balance_steps_ + saved_steps, kLargestDebt);
}

std::vector<std::uint32_t> DraftPlanner::plan_fixed(std::span<const DraftCandidate> candidates,
                                                    std::uint32_t room) const {
  std::vector<std::uint32_t> drafts(candidates.size(), 0);
  // One each in turn, so that all get their share of a full step.
  for (std::uint32_t n = 1; n <= *fixed_; n++)
    for (std::size_t i = 0; i < candidates.size() && room > 0; i++)
      if (drafts[i] < std::min(candidates[i].most_drafts, kMaxDrafts)) {
        drafts[i]++;
        room--;
      }
  return drafts;
}

std::vector<std::uint32_t> DraftPlanner::plan(std::span<const DraftCandidate> candidates,
                                              std::uint32_t n_other_rows) const {
  const auto n_answers = static_cast<std::uint32_t>(candidates.size());
  std::vector<std::uint32_t> drafts(n_answers, 0);
  const std::uint32_t base_rows = n_answers + n_other_rows;
  if (n_answers == 0 || base_rows >= StepCosts::kMaxRows) return drafts;
  if (fixed_) return plan_fixed(candidates, StepCosts::kMaxRows - base_rows);

  if (balance_steps_ <= 0) return drafts;
  // Without a measurement of the plain step there is nothing to compare with: it comes first.
  const std::optional<double> plain_ms = target_.estimate(base_rows);
  if (!plain_ms || target_.most_rows() < base_rows) return drafts;
  // Larger steps are tried by doubling, so that a device that cannot use them loses little.
  const std::uint32_t most_rows = std::min(2 * target_.most_rows(), StepCosts::kMaxRows);

  const auto draft_step_ms = [&](std::uint32_t n_rows) {
    return n_rows == 0 ? 0.0 : draft_.estimate(n_rows).value_or(0.0);
  };
  // A gain below this is within the error of the estimates.
  constexpr double kLeastGain = 1.03;
  std::vector<std::uint32_t> best = drafts;
  double best_rate = kLeastGain * n_answers / *plain_ms;
  double tokens = n_answers;
  double drafting_ms = 0;
  std::vector<std::uint32_t> step_rows(kMaxDrafts + 1, 0);  // rows of the n-th draft step
  for (std::uint32_t rows = base_rows + 1; rows <= most_rows; rows++) {
    const std::size_t i = likeliest(candidates, drafts);
    if (i == n_answers) break;
    const std::uint32_t n = ++drafts[i];
    tokens += std::pow(candidates[i].acceptance, n);
    if (!candidates[i].free) {
      drafting_ms -= draft_step_ms(step_rows[n]);
      drafting_ms += draft_step_ms(++step_rows[n]);
    }
    const double rate = tokens / (target_.estimate(rows).value_or(*plain_ms) + drafting_ms);
    if (rate > best_rate) {
      best_rate = rate;
      best = drafts;
    }
  }
  return best;
}

}  // namespace preflight::generate
