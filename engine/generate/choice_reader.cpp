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

Result<void> check_row(const params::SoftmaxSum& row) {
  if (row.bad_token != params::kSoftmaxNoToken)
    return fail(ErrorCode::kInternal,
                fmt::format("logit {} is NaN or plus infinity", row.bad_token));
  if (row.largest == std::numeric_limits<float>::lowest())
    return fail(ErrorCode::kInternal, "every logit is minus infinity");
  return {};
}

}  // namespace

std::vector<std::uint32_t> choice_tokens(const Choice& choice,
                                         std::span<const std::int32_t> stop_ids) {
  std::vector<std::uint32_t> tokens;
  tokens.reserve(choice.tokens.size() + stop_ids.size());
  for (const ChoiceToken& allowed : choice.tokens)
    tokens.push_back(static_cast<std::uint32_t>(allowed.id));
  if (choice.stop_begin != choice.stop_end)
    for (const std::int32_t id : stop_ids) tokens.push_back(static_cast<std::uint32_t>(id));
  return tokens;
}

ChoiceReader::ChoiceReader(std::vector<std::int32_t> stop_ids) : stop_ids_(std::move(stop_ids)) {}

Result<void> ChoiceReader::read(const Choice& choice, const params::SoftmaxSum& row,
                                std::span<const float> logits, std::int32_t token) {
  const bool is_stop = std::find(stop_ids_.begin(), stop_ids_.end(), token) != stop_ids_.end();
  const LiteralRange stop_range{choice.stop_begin, choice.stop_end};
  const bool may_stop = choice.stop_begin != choice.stop_end;

  // What the token taken leaves; relative to the literals still possible.
  LiteralRange taken{0, 0};
  bool branches = may_stop;
  for (const ChoiceToken& allowed : choice.tokens) {
    if (allowed.id == token) taken = {allowed.begin, allowed.end};
    branches = branches || allowed.begin != 0 || allowed.end != choice.literals.size();
  }
  if (is_stop) taken = stop_range;
  if (taken.first == taken.second) {
    return fail(ErrorCode::kInternal, fmt::format("token {} is not allowed in the choice at \"{}\"",
                                                  token, choice.pointer));
  }
  if (!open_ || open_->outcome.pointer != choice.pointer) {
    open_ = Open{.first_literal = choice.first_literal};
    open_->outcome.pointer = choice.pointer;
    open_->outcome.whole = choice.literals.size() == choice.schema_literals;
    for (const ChoiceLiteral& literal : choice.literals) {
      open_->outcome.literals.push_back(
          {.json = literal.json, .schema_index = literal.schema_index});
    }
  }
  if (!branches) return {};

  const std::size_t n_allowed = choice.tokens.size() + (may_stop ? stop_ids_.size() : 0);
  if (logits.size() != n_allowed) {
    return fail(ErrorCode::kInternal, fmt::format("{} logits of the {} tokens allowed at \"{}\"",
                                                  logits.size(), n_allowed, choice.pointer));
  }
  PREFLIGHT_TRY_VOID(check_row(row));
  std::map<LiteralRange, double> masses;  // ordered, so that sums do not depend on addresses
  double inside = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const double probability = std::exp(double{logits[i]} - double{row.largest}) / double{row.sum};
    const bool stops = i >= choice.tokens.size();
    masses[stops ? stop_range : LiteralRange{choice.tokens[i].begin, choice.tokens[i].end}] +=
        probability;
    inside += probability;
  }

  std::vector<LiteralProbability>& literals = open_->outcome.literals;
  const std::size_t offset = choice.first_literal - open_->first_literal;
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
