#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"
#include "engine/text/value.h"

namespace preflight::text {

enum class PartKind : std::uint8_t { kText, kImage, kAudio, kVideo };

/// One stretch of a prompt: text, or the place of a medium.
struct PromptPart {
  PartKind kind = PartKind::kText;
  Segment segment;           ///< of text
  std::size_t media_ix = 0;  ///< of a medium: which one, in the caller's own count
};

/// The placeholder a medium has in a prompt's text: `<|image|>`, `<|audio|>`, `<|video|>`.
std::string_view placeholder(PartKind kind);

/// The prompt as one string with placeholders, for people and tests.
std::string prompt_text(const std::vector<PromptPart>& parts);

/// Members of an object by lower-cased key; equal ones keep their order.
std::vector<std::size_t> sorted_members(const Value& object);

/// Gathers a prompt. What the format itself writes is trusted, what came from anywhere else is not.
class PromptWriter {
 public:
  void markup(std::string_view text) { append(text, true); }
  void untrusted(std::string_view text) { append(text, false); }
  /// Between the model's string delimiters. Nothing is escaped.
  void quoted(std::string_view text);
  /// A value in the model's own syntax.
  void value(const Value& value, bool quote_keys);
  /// `key:value` of every member, sorted, joined by commas.
  void members(const Value& object, bool quote_keys);
  void medium(PartKind kind, std::size_t media_ix);

  bool ends_with_markup(std::string_view ending) const;
  std::size_t n_parts() const { return parts_.size(); }
  std::vector<PromptPart> take() { return std::move(parts_); }

 private:
  void append(std::string_view text, bool trusted);

  std::vector<PromptPart> parts_;
};

}  // namespace preflight::text
