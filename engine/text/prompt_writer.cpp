#include "engine/text/prompt_writer.h"

#include <algorithm>
#include <numeric>

#include "engine/text/unicode.h"

namespace preflight::text {

std::string_view placeholder(PartKind kind) {
  switch (kind) {
    case PartKind::kImage:
      return "<|image|>";
    case PartKind::kAudio:
      return "<|audio|>";
    case PartKind::kVideo:
      return "<|video|>";
    case PartKind::kText:
      break;
  }
  return "";
}

std::string prompt_text(const std::vector<PromptPart>& parts) {
  std::string out;
  for (const PromptPart& part : parts) {
    out += part.kind == PartKind::kText ? part.segment.text : placeholder(part.kind);
  }
  return out;
}

std::vector<std::size_t> sorted_members(const Value& object) {
  std::vector<std::string> lowered;
  lowered.reserve(object.keys.size());
  for (const std::string& key : object.keys) lowered.push_back(to_lower(key));
  std::vector<std::size_t> order(object.keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&lowered](std::size_t a, std::size_t b) { return lowered[a] < lowered[b]; });
  return order;
}

void PromptWriter::append(std::string_view text, bool trusted) {
  if (text.empty()) return;
  const bool goes_on = !parts_.empty() && parts_.back().kind == PartKind::kText &&
                       parts_.back().segment.trusted == trusted;
  if (!goes_on) parts_.push_back(PromptPart{PartKind::kText, Segment{"", trusted}, 0});
  parts_.back().segment.text += text;
}

void PromptWriter::quoted(std::string_view text) {
  markup("<|\"|>");
  untrusted(text);
  markup("<|\"|>");
}

void PromptWriter::value(const Value& value, bool quote_keys) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return markup("null");
    case Value::Kind::kBoolean:
      return markup(value.boolean ? "true" : "false");
    case Value::Kind::kNumber:
      return markup(value.text);
    case Value::Kind::kString:
      return quoted(value.text);
    case Value::Kind::kArray:
      markup("[");
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) markup(",");
        this->value(value.items[i], quote_keys);
      }
      return markup("]");
    case Value::Kind::kObject:
      markup("{");
      members(value, quote_keys);
      return markup("}");
  }
}

void PromptWriter::members(const Value& object, bool quote_keys) {
  bool first = true;
  for (const std::size_t i : sorted_members(object)) {
    if (!first) markup(",");
    first = false;
    if (quote_keys) {
      quoted(object.keys[i]);
    } else {
      untrusted(object.keys[i]);
    }
    markup(":");
    value(object.items[i], quote_keys);
  }
}

void PromptWriter::medium(PartKind kind, std::size_t media_ix) {
  parts_.push_back(PromptPart{kind, {}, media_ix});
}

bool PromptWriter::ends_with_markup(std::string_view ending) const {
  return !parts_.empty() && parts_.back().segment.trusted &&
         parts_.back().segment.text.ends_with(ending);
}

}  // namespace preflight::text
