// How many tokens are drafted, by made-up costs of steps.

#include "engine/generate/draft_planner.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace preflight::generate {
namespace {

/// A device on which steps cost what a function of their rows says.
struct Device {
  std::function<double(std::uint32_t)> step_ms;
  double draft_ms;
};

std::uint32_t total(const std::vector<std::uint32_t>& drafts) {
  return std::accumulate(drafts.begin(), drafts.end(), 0u);
}

/// Runs rounds of `n_answers` with drafts that are accepted as if by this chance; what the last of
/// them drafted.
std::vector<std::uint32_t> after_rounds(DraftPlanner& planner, const Device& device,
                                        std::size_t n_answers, double acceptance, int n_rounds,
                                        double* total_ms = nullptr,
                                        std::optional<double> actual = {}) {
  std::vector<std::uint32_t> drafts;
  for (int round = 0; round < n_rounds; round++) {
    const std::vector<DraftCandidate> candidates(
        n_answers, DraftCandidate{.acceptance = acceptance, .most_drafts = 100});
    drafts = planner.plan(candidates, 0);
    double ms = 0;
    std::uint32_t n_right = 0;
    for (const std::uint32_t planned : drafts)
      n_right += static_cast<std::uint32_t>(std::lround(planned * actual.value_or(acceptance)));
    for (std::uint32_t n = 1; n <= DraftPlanner::kMaxDrafts; n++) {
      std::uint32_t rows = 0;
      for (const std::uint32_t planned : drafts) rows += planned >= n ? 1 : 0;
      if (rows == 0) continue;
      planner.add_draft_step(rows, device.draft_ms);
      ms += device.draft_ms;
    }
    const std::uint32_t rows = static_cast<std::uint32_t>(n_answers) + total(drafts);
    planner.add_target_step(rows, device.step_ms(rows));
    planner.add_round(static_cast<std::uint32_t>(n_answers), static_cast<std::uint32_t>(n_answers),
                      total(drafts) > 0, static_cast<std::uint32_t>(n_answers) + n_right,
                      ms + device.step_ms(rows));
    if (total_ms != nullptr) *total_ms += ms + device.step_ms(rows);
  }
  return drafts;
}

TEST(StepCosts, TheFirstRunOfASizeDoesNotCount) {
  StepCosts costs;
  EXPECT_FALSE(costs.estimate(1).has_value());
  costs.add(1, 500);
  EXPECT_FALSE(costs.estimate(1).has_value());
  costs.add(1, 100);
  EXPECT_EQ(costs.estimate(1), 100);
  EXPECT_EQ(costs.most_rows(), 1u);
}

TEST(StepCosts, StraightLinesBetweenAndBeyond) {
  StepCosts costs;
  for (int i = 0; i < 2; i++) costs.add(2, 100);
  EXPECT_EQ(costs.estimate(1), 100);
  EXPECT_EQ(costs.estimate(8), 100);
  for (int i = 0; i < 2; i++) costs.add(6, 140);
  EXPECT_DOUBLE_EQ(*costs.estimate(3), 110);
  EXPECT_DOUBLE_EQ(*costs.estimate(8), 160);
  // One interruption moves a mean by a quarter at most, and is made good.
  costs.add(2, 10000);
  EXPECT_DOUBLE_EQ(*costs.estimate(2), 125);
  for (int i = 0; i < 20; i++) costs.add(2, 100);
  EXPECT_NEAR(*costs.estimate(2), 100, 0.1);
}

TEST(StepCosts, OldMeasurementsAreForgotten) {
  StepCosts costs;
  for (int i = 0; i < 2; i++) costs.add(4, 1000);
  for (int i = 0; i < 100; i++) costs.add(1, 100);
  EXPECT_EQ(costs.estimate(4), 1000);
  for (int i = 0; i < 100; i++) costs.add(1, 100);
  EXPECT_EQ(costs.estimate(4), 100);
}

TEST(DraftPlanner, WaitsForTheCostOfAPlainStep) {
  DraftPlanner planner({});
  const DraftCandidate candidate{.acceptance = 0.9, .most_drafts = 8};
  EXPECT_EQ(total(planner.plan({&candidate, 1}, 0)), 0u);
  planner.add_target_step(1, 100);
  EXPECT_EQ(total(planner.plan({&candidate, 1}, 0)), 0u);
  planner.add_target_step(1, 100);
  EXPECT_EQ(total(planner.plan({&candidate, 1}, 0)), 1u);  // larger steps are tried by doubling
}

TEST(DraftPlanner, DraftsLongWhereRowsAreFree) {
  DraftPlanner planner({});
  const Device device{[](std::uint32_t) { return 100.0; }, 4.0};
  EXPECT_GE(after_rounds(planner, device, 1, 0.9, 40).at(0), 5u);
  EXPECT_LE(after_rounds(planner, device, 1, 0.3, 40).at(0), 2u);
}

TEST(DraftPlanner, DraftsNothingWhereEveryRowCosts) {
  // A device that computes row by row, as a processor does: verifying is no cheaper than decoding.
  const Device device{[](std::uint32_t rows) { return 100.0 * rows; }, 10.0};
  DraftPlanner planner({});
  double ms = 0;
  EXPECT_EQ(total(after_rounds(planner, device, 1, 0.9, 500, &ms)), 0u);
  EXPECT_LE(ms, 1.03 * 500 * 100);  // trying it out costs this much at most
}

TEST(DraftPlanner, DraftsNothingWhereItIsNeverRight) {
  const Device device{[](std::uint32_t) { return 100.0; }, 4.0};
  DraftPlanner planner({});
  EXPECT_EQ(total(after_rounds(planner, device, 1, 0.02, 50)), 0u);
}

TEST(DraftPlanner, WhatItCostsIsBoundedWhateverIsExpected) {
  // Drafts are expected to be right and never are.
  const Device device{[](std::uint32_t rows) { return 90.0 + 10.0 * rows; }, 20.0};
  DraftPlanner planner({});
  double ms = 0;
  after_rounds(planner, device, 1, 0.9, 1000, &ms, 0.0);
  EXPECT_LE(ms, 1.02 * 1000 * 100);
}

TEST(DraftPlanner, TheLikelierAnswerGetsMore) {
  const Device device{[](std::uint32_t rows) { return 100.0 + 10.0 * rows; }, 4.0};
  DraftPlanner planner({});
  after_rounds(planner, device, 2, 0.8, 60);
  const std::vector<DraftCandidate> candidates = {{.acceptance = 0.3, .most_drafts = 8},
                                                  {.acceptance = 0.9, .most_drafts = 8}};
  const std::vector<std::uint32_t> drafts = planner.plan(candidates, 0);
  EXPECT_LT(drafts.at(0), drafts.at(1));
}

TEST(DraftPlanner, KeepsWithinTheNarrowStep) {
  const std::vector<DraftCandidate> candidates(10, {.acceptance = 0.9, .most_drafts = 8});
  DraftPlanner planner(8);
  EXPECT_EQ(total(planner.plan(candidates, 6)), StepCosts::kMaxRows - 16);
  EXPECT_EQ(total(planner.plan(candidates, 22)), 0u);
  EXPECT_EQ(total(planner.plan(candidates, 1000)), 0u);
  const std::vector<DraftCandidate> one = {{.acceptance = 0.9, .most_drafts = 2}};
  EXPECT_EQ(planner.plan(one, 0).at(0), 2u);
}

TEST(Acceptance, FollowsTheNewest) {
  Acceptance acceptance(0.6);
  for (int i = 0; i < 40; i++) acceptance.add(true);
  EXPECT_GT(acceptance.rate(), 0.95);
  for (int i = 0; i < 40; i++) acceptance.add(false);
  EXPECT_LT(acceptance.rate(), 0.05);
}

TEST(DraftPlanner, WhatIsKnownCostsNoDraftStep) {
  // Rows cost little, draft steps more than they could ever save.
  DraftPlanner planner({});
  for (int i = 0; i < 3; i++) {
    for (const std::uint32_t rows : {1u, 2u, 3u})
      planner.add_target_step(rows, 100 + static_cast<double>(rows));
    planner.add_draft_step(1, 1000);
  }
  const DraftCandidate drafted{.acceptance = 0.8, .most_drafts = 3};
  const DraftCandidate known{.acceptance = 0.8, .most_drafts = 3, .free = true};
  EXPECT_EQ(total(planner.plan({&drafted, 1}, 0)), 0u);
  EXPECT_EQ(total(planner.plan({&known, 1}, 0)), 3u);
  // Where a row costs as much as a step, nothing is free.
  DraftPlanner slow({});
  for (int i = 0; i < 3; i++)
    for (const std::uint32_t rows : {1u, 2u, 3u}) slow.add_target_step(rows, 100.0 * rows);
  EXPECT_EQ(total(slow.plan({&known, 1}, 0)), 0u);
}

}  // namespace
}  // namespace preflight::generate
