#include "engine/text/answer.h"

#include <algorithm>
#include <utility>

namespace preflight::text {

AnswerSplitter::AnswerSplitter(const Tokenizer& tokenizer, bool starts_in_thought)
    : tokenizer_(tokenizer),
      state_(starts_in_thought ? State::kThought : State::kContent),
      at_thought_start_(starts_in_thought) {}

Answer AnswerSplitter::push(std::int32_t id) {
  Answer out;
  if (state_ == State::kDone) return out;
  if (tokenizer_.kind(id) == TokenKind::kSpecial) {
    text(bytes_.finish(), out);  // no character spans a special token
    special(id, out);
  } else {
    text(bytes_.push(tokenizer_.token_bytes(id)), out);
  }
  return out;
}

Answer AnswerSplitter::finish() {
  Answer out;
  text(bytes_.finish(), out);
  if (state_ == State::kChannelName || state_ == State::kThought) end_thought(out);
  state_ = State::kDone;
  return out;
}

void AnswerSplitter::special(std::int32_t id, Answer& out) {
  const std::string token = tokenizer_.token_bytes(id);
  const bool in_thought = state_ == State::kChannelName || state_ == State::kThought;
  if (token == "<eos>" || token == "<turn|>" || token == "<|tool_response>") {
    if (in_thought) end_thought(out);
    state_ = State::kDone;
  } else if (state_ == State::kCall) {
    out.content += token;
    if (token == "<tool_call|>") state_ = State::kContent;
  } else if (token == "<|tool_call>") {
    if (in_thought) end_thought(out);
    out.content += token;
    state_ = State::kCall;
  } else if (token == "<|channel>") {
    if (!in_thought) state_ = State::kChannelName;
  } else if (token == "<channel|>") {
    if (in_thought) end_thought(out);
  } else if (token == "<|\"|>") {
    text("\"", out);
  }
}

void AnswerSplitter::text(std::string_view text, Answer& out) {
  if (state_ == State::kChannelName) {
    const std::size_t newline = text.find('\n');
    channel_name_ += text.substr(0, newline);
    if (newline == std::string_view::npos) return;
    channel_name_.clear();
    state_ = State::kThought;
    at_thought_start_ = true;
    text.remove_prefix(newline + 1);
  }
  if (state_ == State::kThought) return add_thought(text, out);
  if (state_ == State::kContent && skip_newlines_) {
    text.remove_prefix(std::min(text.find_first_not_of('\n'), text.size()));
    skip_newlines_ = text.empty();
  }
  if (state_ != State::kDone) out.content += text;
}

void AnswerSplitter::add_thought(std::string_view text, Answer& out) {
  if (at_thought_start_ && !text.empty()) {
    if (text.front() == '\n') text.remove_prefix(1);
    at_thought_start_ = false;
  }
  if (text.empty()) return;
  std::string ready = newline_held_ ? "\n" : "";
  newline_held_ = text.back() == '\n';
  ready += text.substr(0, text.size() - (newline_held_ ? 1 : 0));
  if (ready.empty()) return;
  if (any_thought_ && !thought_goes_on_) out.thought += '\n';
  any_thought_ = thought_goes_on_ = true;
  out.thought += ready;
}

void AnswerSplitter::end_thought(Answer& out) {
  // A channel that closes before its name's newline holds its text there; a bare name says nothing.
  if (state_ == State::kChannelName && channel_name_ != "thought") {
    add_thought(std::exchange(channel_name_, {}), out);
  }
  channel_name_.clear();
  at_thought_start_ = newline_held_ = thought_goes_on_ = false;
  skip_newlines_ = true;
  state_ = State::kContent;
}

Answer split_answer(const Tokenizer& tokenizer, std::span<const std::int32_t> ids,
                    bool starts_in_thought) {
  AnswerSplitter splitter(tokenizer, starts_in_thought);
  Answer whole;
  const auto add = [&whole](const Answer& more) {
    whole.content += more.content;
    whole.thought += more.thought;
  };
  for (const std::int32_t id : ids) add(splitter.push(id));
  add(splitter.finish());
  return whole;
}

}  // namespace preflight::text
