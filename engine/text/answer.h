#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/text/tokenizer.h"
#include "engine/text/utf8.h"

namespace preflight::text {

/// What the model said, split by its channel tokens (docs/text.md, "Answers").
struct Answer {
  std::string content;
  std::string thought;  ///< several thoughts are joined by a newline; empty if there was none
};

/// Splits generated tokens into content and thought while they arrive. Works on ids, so text that
/// merely spells a marker is text. Tool calls stay in the content as the model wrote them.
class AnswerSplitter {
 public:
  /// `starts_in_thought`: the prompt ended with an opened thought.
  AnswerSplitter(const Tokenizer& tokenizer, bool starts_in_thought);

  /// The text that this token made certain, to be appended to what came before. Nothing comes
  /// after a token that ends the turn.
  Answer push(std::int32_t id);
  /// What was still held back. A thought that was not closed is all thought.
  Answer finish();

 private:
  enum class State : std::uint8_t { kContent, kChannelName, kThought, kCall, kDone };

  void special(std::int32_t id, Answer& out);
  void text(std::string_view text, Answer& out);
  void add_thought(std::string_view text, Answer& out);
  void end_thought(Answer& out);

  Tokenizer tokenizer_;
  State state_;
  Utf8Stream bytes_;
  std::string channel_name_;
  bool at_thought_start_ = false;  // the next newline is not part of the thought
  bool newline_held_ = false;      // nor is its last one, so one newline waits for more
  bool any_thought_ = false;
  bool thought_goes_on_ = false;  // something of this thought was given out
  bool skip_newlines_ = false;    // those between a thought and the content
};

/// The whole answer at once. Stop tokens at the end are left out.
Answer split_answer(const Tokenizer& tokenizer, std::span<const std::int32_t> ids,
                    bool starts_in_thought);

}  // namespace preflight::text
