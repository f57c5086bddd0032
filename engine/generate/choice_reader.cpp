#include "engine/generate/choice_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

#include <fmt/format.h>

namespace preflight::generate {
namespace {

using LiteralRange = std::pair<std::size_t, std::size_t>;  // begin, end

// Turns a logit into its share of the softmax over the whole row.
class Softmax {
 public:
  static Result<Softmax> over(std::span<const float> logits) {
    float largest = -std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < logits.size(); ++i) {
      if (std::isnan(logits[i]) || logits[i] == std::numeric_limits<float>::infinity()) {
        return fail(ErrorCode::kInternal, fmt::format("logit {} is {}", i, logits[i]));
      }
      largest = std::max(largest, logits[i]);
    }
    if (std::isinf(largest)) return fail(ErrorCode::kInternal, "every logit is minus infinity");
    Softmax softmax;
    softmax.largest_ = largest;
    for (const float logit : logits) softmax.sum_ += softmax.weight(logit);
    return softmax;
  }

  double probability(float logit) const { return weight(logit) / sum_; }

 private:
  double weight(float logit) const { return std::exp(double{logit} - largest_); }

  double largest_ = 0;
  double sum_ = 0;
};

}  // namespace

ChoiceReader::ChoiceReader(std::vector<std::int32_t> stop_ids) : stop_ids_(std::move(stop_ids)) {}

Result<void> ChoiceReader::read(const ConstraintState& state, std::span<const float> logits,
                                std::int32_t token) {
  const std::optional<Choice> choice = state.choice();
  if (!choice) return {};
  const bool is_stop = std::find(stop_ids_.begin(), stop_ids_.end(), token) != stop_ids_.end();
  const LiteralRange stop_range{choice->stop_begin, choice->stop_end};

  // What the token taken leaves; relative to the literals still possible.
  LiteralRange taken{0, 0};
  bool branches = choice->stop_begin != choice->stop_end;
  for (const ChoiceToken& allowed : choice->tokens) {
    if (allowed.id == token) taken = {allowed.begin, allowed.end};
    branches = branches || allowed.begin != 0 || allowed.end != choice->literals.size();
  }
  if (is_stop) taken = stop_range;
  if (taken.first == taken.second) {
    return fail(ErrorCode::kInternal, fmt::format("token {} is not allowed in the choice at \"{}\"",
                                                  token, choice->pointer));
  }
  if (!open_ || open_->outcome.pointer != choice->pointer) {
    open_ = Open{.first_literal = choice->first_literal};
    open_->outcome.pointer = choice->pointer;
    open_->outcome.whole = choice->literals.size() == choice->schema_literals;
    for (const ChoiceLiteral& literal : choice->literals) {
      open_->outcome.literals.push_back(
          {.json = literal.json, .schema_index = literal.schema_index});
    }
  }
  if (!branches) return {};

  if (logits.size() < state.vocabulary_size()) {
    return fail(ErrorCode::kInternal, fmt::format("a row of {} logits, expected at least {}",
                                                  logits.size(), state.vocabulary_size()));
  }
  PREFLIGHT_TRY(const Softmax softmax, Softmax::over(logits));
  std::map<LiteralRange, double> masses;  // ordered, so that sums do not depend on addresses
  double inside = 0;
  const auto count = [&](LiteralRange range, std::int32_t id) {
    const double probability = softmax.probability(logits[static_cast<std::size_t>(id)]);
    masses[range] += probability;
    inside += probability;
  };
  for (const ChoiceToken& allowed : choice->tokens) count({allowed.begin, allowed.end}, allowed.id);
  if (stop_range.first != stop_range.second) {
    for (const std::int32_t id : stop_ids_) {
      if (id >= 0 && static_cast<std::size_t>(id) < logits.size()) count(stop_range, id);
    }
  }

  std::vector<LiteralProbability>& literals = open_->outcome.literals;
  const std::size_t offset = choice->first_literal - open_->first_literal;
  const double weight = open_->weight;
  double carried = 0;
  for (const auto& [range, mass] : masses) {
    const std::size_t n = range.second - range.first;
    if (range == taken && n > 1) {
      carried = weight * mass;
      continue;
    }
    for (std::size_t i = range.first; i < range.second; ++i) {
      literals[offset + i].probability += weight * mass / static_cast<double>(n);
      literals[offset + i].shared = literals[offset + i].shared || (n > 1 && mass > 0);
    }
  }
  const double not_allowed = weight * std::max(0.0, 1.0 - inside);
  (open_->branched ? open_->outcome.lost : open_->outcome.outside) += not_allowed;
  open_->branched = true;
  open_->weight = carried;

  if (taken.second - taken.first == 1) {
    open_->outcome.taken = offset + taken.first;
    finished_.push_back(std::move(open_->outcome));
    open_.reset();
  }
  return {};
}

std::vector<ChoiceOutcome> ChoiceReader::take() { return std::exchange(finished_, {}); }

}  // namespace preflight::generate
