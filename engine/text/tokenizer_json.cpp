#include "engine/text/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/text/tokenizer_tables.h"
#include "engine/text/value.h"
#include "engine/text/value_builder.h"

namespace preflight::text {
namespace {

/// Reads the file with the two big lists taken out while it is parsed, so they are never held as
/// JSON values: the published file has 262,144 tokens and half a million merges.
class FileReader final : public ValueBuilder {
 public:
  std::vector<std::pair<std::string, std::uint64_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;

  bool null() override { return in_list() ? misfit() : ValueBuilder::null(); }
  bool boolean(bool value) override { return in_list() ? misfit() : ValueBuilder::boolean(value); }
  bool number_integer(number_integer_t value) override {
    return in_list() ? misfit() : ValueBuilder::number_integer(value);
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (in_ != In::kVocab) return in_list() ? misfit() : ValueBuilder::number_unsigned(value);
    vocab.emplace_back(std::move(token_), value);
    return true;
  }
  bool number_float(number_float_t value, const string_t& source) override {
    return in_list() ? misfit() : ValueBuilder::number_float(value, source);
  }
  bool string(string_t& value) override {
    switch (in_) {
      case In::kMerges:
        return add_line(value);
      case In::kPair:
        pair_.push_back(std::move(value));
        return pair_.size() <= 2 || misfit();
      case In::kVocab:
        return misfit();
      case In::kElsewhere:
        break;
    }
    return ValueBuilder::string(value);
  }
  bool start_object(std::size_t elements) override {
    if (in_list()) return misfit();
    if (!(at_model_member_ && member_ == "vocab")) return ValueBuilder::start_object(elements);
    in_ = In::kVocab;
    return true;
  }
  bool key(string_t& value) override {
    if (in_ == In::kVocab) {
      token_ = std::move(value);
      return true;
    }
    if (depth() == 1) in_model_ = value == "model";
    at_model_member_ = in_model_ && depth() == 2;
    member_ = value;
    return ValueBuilder::key(value);
  }
  bool end_object() override { return in_ == In::kVocab ? leave() : ValueBuilder::end_object(); }
  bool start_array(std::size_t elements) override {
    if (in_ == In::kMerges) {
      in_ = In::kPair;
      pair_.clear();
      return true;
    }
    if (in_list()) return misfit();
    if (!(at_model_member_ && member_ == "merges")) return ValueBuilder::start_array(elements);
    in_ = In::kMerges;
    return true;
  }
  bool end_array() override {
    if (in_ == In::kMerges) return leave();
    if (in_ != In::kPair) return ValueBuilder::end_array();
    if (pair_.size() != 2) return misfit();
    merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
    in_ = In::kMerges;
    return true;
  }

 private:
  enum class In : std::uint8_t { kElsewhere, kVocab, kMerges, kPair };

  bool in_list() const { return in_ != In::kElsewhere; }

  /// The list's place in the rest of the file stays as null.
  bool leave() {
    in_ = In::kElsewhere;
    at_model_member_ = false;
    return ValueBuilder::null();
  }

  bool add_line(const std::string& line) {
    const std::size_t space = line.find(' ', 1);
    if (space == std::string::npos || space + 1 == line.size()) return misfit();
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    return true;
  }

  bool misfit() {
    if (in_ == In::kVocab) {
      return fail(fmt::format("model.vocab: the id of '{}' is not a whole number", token_));
    }
    return fail(fmt::format("model.merges[{}] is neither a pair of strings nor \"left right\"",
                            merges.size()));
  }

  In in_ = In::kElsewhere;
  bool in_model_ = false;
  bool at_model_member_ = false;  // the last key was one of the object `model`
  std::string member_;
  std::string token_;
  std::vector<std::string> pair_;
};

tl::unexpected<Error> bad(std::string what) {
  return fail(ErrorCode::kInvalidInput, "tokenizer.json: " + std::move(what));
}

tl::unexpected<Error> unknown(std::string_view field, const Value& found,
                              std::string_view expected) {
  std::string shown = found.is(Value::Kind::kBoolean) ? (found.boolean ? "true" : "false")
                                                      : std::string(kind_name(found.kind));
  if (found.is_string() || found.is(Value::Kind::kNumber)) {
    shown = fmt::format("'{}'", found.text.substr(0, 80));
  } else if (const Value* type = found.find("type"); type != nullptr && type->is_string()) {
    shown = fmt::format("of the type '{}'", type->text.substr(0, 80));
  }
  return fail(ErrorCode::kUnsupported,
              fmt::format("tokenizer.json: {} is {}, expected {}", field, shown, expected));
}

/// The member of an object, or null: a missing field and a null one mean the same here.
const Value& member(const Value& object, std::string_view name) {
  static const Value kNull;
  const Value* found = object.find(name);
  return found == nullptr ? kNull : *found;
}

bool is_true(const Value& value) { return value.is(Value::Kind::kBoolean) && value.boolean; }

bool is_text(const Value& value, std::string_view text) {
  return value.is_string() && value.text == text;
}

bool is_replace(const Value& step, std::string_view pattern, std::string_view content) {
  return is_text(member(step, "type"), "Replace") &&
         is_text(member(member(step, "pattern"), "String"), pattern) &&
         is_text(member(step, "content"), content);
}

/// A change of one of these fields would silently change the ids.
Result<void> check_method(const Value& file) {
  const Value& model = member(file, "model");
  if (!is_text(member(model, "type"), "BPE")) {
    return unknown("model.type", member(model, "type"), "'BPE'");
  }
  if (!is_true(member(model, "byte_fallback"))) {
    return unknown("model.byte_fallback", member(model, "byte_fallback"), "true");
  }
  if (is_true(member(model, "ignore_merges"))) {
    return unknown("model.ignore_merges", member(model, "ignore_merges"), "false");
  }
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const Value& value = member(model, name);
    if (value.is_truthy()) return unknown(fmt::format("model.{}", name), value, "null");
  }
  const Value& normalizer = member(file, "normalizer");
  if (!is_replace(normalizer, " ", kMarkedSpace)) {
    return unknown("normalizer", normalizer, "one Replace of a space by U+2581");
  }
  const Value& splitter = member(file, "pre_tokenizer");
  const bool splits_nothing =
      splitter.is_null() || (is_text(member(splitter, "type"), "Split") &&
                             is_text(member(member(splitter, "pattern"), "String"), " "));
  if (!splits_nothing) return unknown("pre_tokenizer", splitter, "null or a Split at spaces");
  const Value& decoder = member(file, "decoder");
  const Value& steps = member(decoder, "decoders");
  const bool decodes = is_text(member(decoder, "type"), "Sequence") && steps.is_array() &&
                       steps.items.size() == 3 && is_replace(steps.items[0], kMarkedSpace, " ") &&
                       is_text(member(steps.items[1], "type"), "ByteFallback") &&
                       is_text(member(steps.items[2], "type"), "Fuse");
  if (!decodes) {
    return unknown("decoder", decoder,
                   "a Sequence of Replace of U+2581 by a space, ByteFallback and Fuse");
  }
  return {};
}

struct Added {
  std::uint64_t id = 0;
  std::string content;
};

Result<std::vector<Added>> read_added(const Value& list) {
  std::vector<Added> added;
  if (list.is_null()) return added;
  if (!list.is_array()) return bad("added_tokens is not a list");
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    const Value& entry = list.items[i];
    const Value& id = member(entry, "id");
    const Value& content = member(entry, "content");
    std::uint64_t number = 0;
    const char* end = id.text.data() + id.text.size();
    const auto read = std::from_chars(id.text.data(), end, number);
    const bool is_id = id.is(Value::Kind::kNumber) && read.ec == std::errc() && read.ptr == end;
    if (!is_id || !content.is_string()) {
      return bad(fmt::format("added_tokens[{}] has no id or no content", i));
    }
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      if (is_true(member(entry, flag))) {
        return unknown(fmt::format("added_tokens[{}].{}", i, flag), member(entry, flag), "false");
      }
    }
    // Matching after normalisation differs from matching before only where spaces are involved.
    if (is_true(member(entry, "normalized")) &&
        (content.text.find(' ') != std::string::npos ||
         content.text.find(kMarkedSpace) != std::string::npos)) {
      return unknown(fmt::format("added_tokens[{}].normalized", i), member(entry, "normalized"),
                     "false");
    }
    added.push_back(Added{number, content.text});
  }
  return added;
}

bool is_byte_spelling(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.back() == '>' &&
         token.find_first_not_of("0123456789ABCDEF", 3) == 5;
}

/// Puts every token at its id and checks that no place is taken twice or left empty.
Result<TokenizerData> place(FileReader lists, std::vector<Added> added) {
  TokenizerData data;
  std::uint64_t highest = 0;
  for (const auto& [token, id] : lists.vocab) highest = std::max(highest, id);
  for (const Added& token : added) highest = std::max(highest, token.id);
  if (lists.vocab.empty()) return bad("model.vocab is missing or empty");
  if (highest >= kMostTokens || highest >= lists.vocab.size() + added.size()) {
    return bad(
        fmt::format("the highest token id is {} in a vocabulary of {} tokens, ids must have "
                    "no gaps",
                    highest, lists.vocab.size()));
  }
  std::vector<bool> taken(highest + 1, false);
  data.tokens.resize(highest + 1);
  data.kinds.assign(highest + 1, TokenKind::kNormal);
  for (auto& [token, id] : lists.vocab) {
    if (taken[id]) {
      return bad(fmt::format("id {} stands for both '{}' and '{}'", id, data.tokens[id], token));
    }
    taken[id] = true;
    if (is_byte_spelling(token)) data.kinds[id] = TokenKind::kByte;
    data.tokens[id] = std::move(token);
  }
  for (Added& token : added) {
    if (taken[token.id] && data.tokens[token.id] != token.content) {
      return bad(fmt::format("id {} is '{}' in model.vocab but '{}' in added_tokens", token.id,
                             data.tokens[token.id], token.content));
    }
    taken[token.id] = true;
    data.tokens[token.id] = std::move(token.content);
    data.kinds[token.id] = TokenKind::kSpecial;
  }
  for (std::size_t id = 0; id < taken.size(); ++id) {
    if (!taken[id]) return bad(fmt::format("id {} has no token, ids must have no gaps", id));
  }
  data.merges = std::move(lists.merges);
  return data;
}

}  // namespace

Result<TokenizerData> read_tokenizer_json(std::string_view json) {
  FileReader reader;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("tokenizer.json{}{}", reader.fault().starts_with("model.") ? ": " : " ",
                            reader.fault()));
  }
  const Value file = reader.take();
  if (!file.is_object()) return bad("the file is not a JSON object");
  PREFLIGHT_TRY_VOID(check_method(file));
  PREFLIGHT_TRY(std::vector<Added> added, read_added(member(file, "added_tokens")));
  return place(std::move(reader), std::move(added));
}

}  // namespace preflight::text
