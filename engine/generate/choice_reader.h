#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/generate/constraint.h"
#include "shaders/params/softmax.h"
#include "vk/error.h"

namespace preflight::generate {

struct LiteralProbability {
  std::string json{};            ///< canonical JSON text of the literal
  std::size_t schema_index = 0;  ///< its place in `enum`
  double probability = 0;
  /// Some of the probability is half known: it lay on tokens that begin several literals and that
  /// were not taken, and was split evenly among those literals.
  bool shared = false;
};

/// What the model thought of one choice. The probabilities, `outside` and `lost` add up to 1; the
/// last two together are all that the schema kept the model from saying here.
struct ChoiceOutcome {
  std::string pointer;                       ///< where in the answer, as in Choice
  std::vector<LiteralProbability> literals;  ///< sorted by bytes
  std::size_t taken = 0;                     ///< the literal in the answer, index into `literals`
  double outside = 0;  ///< mass of the tokens that were not allowed, at the first branch
  double lost = 0;     ///< the same at later branches, times the mass of the way there
  /// False if an earlier token had reached into this choice and excluded literals before the first
  /// row was read: those are not listed.
  bool whole = true;
};

/// The tokens that a choice allows: its own, then the stop ids where one may end the answer.
[[nodiscard]] std::vector<std::uint32_t> choice_tokens(const Choice& choice,
                                                       std::span<const std::int32_t> stop_ids);

/// Turns logits into the probability of each literal of a choice, for one sequence.
///
/// Let a row be the softmax over the whole vocabulary, before masking. At each step inside a choice
/// every allowed token is compatible with a set S of the literals still possible. A step where all
/// allowed tokens have the same S decides nothing and is skipped. At any other step, with w the
/// mass of the way so far (1 at first) and X the set of the token taken:
///  - tokens with S = {l}: w times their mass goes to l;
///  - tokens with S = X, two or more: their mass times w is the next w, resolved further on (the
///    tokens not taken are taken to resolve as the one taken does);
///  - other tokens with two or more: w times their mass is split evenly over S, marked `shared`;
///  - tokens that are not allowed: w times their mass goes to `outside` at the first such step, to
///    `lost` at the others.
/// The choice ends when one literal is left.
class ChoiceReader {
 public:
  /// `stop_ids`: the tokens that end an answer; needed where a number is the whole answer.
  explicit ChoiceReader(std::vector<std::int32_t> stop_ids);

  /// Reads one step: the choice that the token stood at, the sum of the row of raw logits and those
  /// of choice_tokens(), in their order, and the token taken, which may be a stop id. Steps without
  /// a choice need not be shown. kInternal if the number of logits is another, the token is not
  /// allowed, or some logit of the row is NaN or plus infinity, or all are minus infinity.
  Result<void> read(const Choice& choice, const params::SoftmaxSum& row,
                    std::span<const float> logits, std::int32_t token);

  /// The choices finished since the last call, in the order of the answer.
  std::vector<ChoiceOutcome> take();

 private:
  struct Open {
    ChoiceOutcome outcome{};
    std::size_t first_literal = 0;  // Choice::first_literal when the choice was first seen
    double weight = 1;
    bool branched = false;
  };

  std::vector<std::int32_t> stop_ids_;
  std::optional<Open> open_;
  std::vector<ChoiceOutcome> finished_;
};

}  // namespace preflight::generate
