#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/forward/softmax_op.h"
#include "engine/forward/step.h"
#include "engine/generate/choice_reader.h"
#include "engine/generate/constraint.h"
#include "engine/generate/draft_planner.h"

namespace preflight::engine {

using forward::TokenMask;

/// The choice that a token of an answer decides, or goes on with.
struct OpenChoice {
  generate::Choice choice;
  std::vector<std::uint32_t> tokens;  ///< allowed there, the stop tokens last
};

/// The place of one token in an answer.
struct Place {
  TokenMask mask;  ///< what may stand there
  std::optional<OpenChoice> choice;
};

/// What holds for all answers of a call.
struct AnswerRules {
  TokenMask free_text_mask;
  std::span<const std::int32_t> stop;

  [[nodiscard]] bool is_stop(std::int32_t id) const;
  /// The place of the next token. Its mask is the constraint's, with the stop tokens where the
  /// answer may end; without a constraint that of free text.
  [[nodiscard]] Place place(const std::optional<generate::ConstraintState>& state) const;
};

/// Moves over all text that the schema leaves no choice about, and returns it.
[[nodiscard]] Result<std::vector<std::int32_t>> advance_forced(generate::ConstraintState& state);

/// One answer in the making.
struct Answer {
  SequenceId sequence{};
  std::optional<generate::ConstraintState> state;
  std::uint32_t max_tokens = 0;
  Sampling sampling{};
  bool may_draft = true;
  generate::ChoiceReader choices;
  std::optional<std::string> open_pointer;  ///< of the choice that is open
  double open_margin = 0;
  Generation result;
  bool ended = false;

  generate::Acceptance acceptance;  ///< of drafts
  /// The row of the target's last step that chose the newest token; empty when another step has
  /// taken its place.
  std::optional<std::uint32_t> hidden_row;

  /// Text that the schema leaves no choice about, taken into the answer.
  Result<std::vector<std::int32_t>> take_forced();
  /// A token that the model chose, taken into the answer.
  Result<void> take(std::int32_t token, const AnswerRules& rules);
  /// Reads what was behind a token that is about to be taken, where it stands at a choice.
  Result<void> read_choice(const generate::Choice& choice, const forward::RowSoftmax& softmax,
                           std::int32_t token);
};

}  // namespace preflight::engine
