#include "engine/text/tokenizer_json.h"

#include <cstdint>
#include <limits>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace preflight::text {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSpace = "\xE2\x96\x81";
constexpr std::size_t kMaxTokens = 1U << 24;

/// The two big lists are taken out while the file is parsed, so they are never held as JSON values:
/// the published file has 262,144 tokens and half a million merges.
struct BigLists {
  std::vector<std::pair<std::string, std::uint64_t>> vocab;
  std::vector<std::pair<std::string, std::string>> merges;
  std::string fault;  // the first thing that does not fit
};

/// Called by the parser for every event; returning false drops the value.
class Picker {
 public:
  explicit Picker(BigLists& lists) : lists_(lists) {}

  bool operator()(int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth <= 2) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (depth == 1) in_model_ = key == "model";
      if (depth == 1 || in_model_) {
        in_vocab_ = depth == 2 && key == "vocab";
        in_merges_ = depth == 2 && key == "merges";
      }
      return true;
    }
    if (!in_model_) return true;
    if (in_vocab_ && depth >= 3) return vocab_event(depth, event, parsed);
    if (in_merges_ && depth >= 3) return merges_event(depth, event, parsed);
    return true;
  }

 private:
  bool vocab_event(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 3 && event == Json::parse_event_t::key) {
      token_ = std::move(parsed.get_ref<std::string&>());
      return true;  // false here would drop the value without showing it
    }
    if (depth == 3 && event == Json::parse_event_t::value && parsed.is_number_unsigned()) {
      lists_.vocab.emplace_back(std::move(token_), parsed.get<std::uint64_t>());
      token_.clear();
      return false;
    }
    note(fmt::format("model.vocab: the id of '{}' is not a whole number", token_));
    return false;
  }

  bool merges_event(int depth, Json::parse_event_t event, Json& parsed) {
    if (depth == 3 && event == Json::parse_event_t::value && parsed.is_string()) {
      add_merge(parsed.get_ref<const std::string&>());
      return false;
    }
    if (depth == 3 && event == Json::parse_event_t::array_start) {
      pair_.clear();
      return true;
    }
    if (depth == 4 && event == Json::parse_event_t::value && parsed.is_string()) {
      pair_.push_back(std::move(parsed.get_ref<std::string&>()));
      return false;
    }
    if (depth == 3 && event == Json::parse_event_t::array_end && pair_.size() == 2) {
      lists_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      return false;
    }
    note(fmt::format("model.merges[{}] is neither a pair of strings nor \"left right\"",
                     lists_.merges.size()));
    return false;
  }

  void add_merge(const std::string& line) {
    const std::size_t space = line.find(' ', 1);
    if (space == std::string::npos || space + 1 == line.size()) {
      note(fmt::format("model.merges[{}] is '{}', expected \"left right\"", lists_.merges.size(),
                       line));
      return;
    }
    lists_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }

  void note(std::string fault) {
    if (lists_.fault.empty()) lists_.fault = std::move(fault);
  }

  BigLists& lists_;
  bool in_model_ = false;
  bool in_vocab_ = false;
  bool in_merges_ = false;
  std::string token_;
  std::vector<std::string> pair_;
};

tl::unexpected<Error> bad(std::string what) {
  return fail(ErrorCode::kInvalidInput, "tokenizer.json: " + std::move(what));
}

tl::unexpected<Error> unknown(std::string_view field, const Json& found,
                              std::string_view expected) {
  std::string shown = found.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (shown.size() > 120) shown = shown.substr(0, 120) + "...";
  return fail(ErrorCode::kUnsupported,
              fmt::format("tokenizer.json: {} is {}, expected {}", field, shown, expected));
}

/// The member of an object, or null: a missing field and a null one mean the same here.
const Json& member(const Json& object, const char* name) {
  static const Json kNull;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : kNull;
}

bool is_true(const Json& value) { return value.is_boolean() && value.get<bool>(); }

bool is_replace(const Json& step, std::string_view pattern, std::string_view content) {
  return member(step, "type") == "Replace" &&
         member(member(step, "pattern"), "String") == pattern && member(step, "content") == content;
}

/// A change of one of these fields would silently change the ids.
Result<void> check_method(const Json& file) {
  const Json& model = member(file, "model");
  if (member(model, "type") != "BPE")
    return unknown("model.type", member(model, "type"), "\"BPE\"");
  if (!is_true(member(model, "byte_fallback"))) {
    return unknown("model.byte_fallback", member(model, "byte_fallback"), "true");
  }
  if (is_true(member(model, "ignore_merges"))) {
    return unknown("model.ignore_merges", member(model, "ignore_merges"), "false");
  }
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const Json& value = member(model, name);
    const bool unset = value.is_null() || value == "" || value == 0.0;
    if (!unset) return unknown(fmt::format("model.{}", name), value, "null");
  }
  const Json& normalizer = member(file, "normalizer");
  if (!is_replace(normalizer, " ", kSpace)) {
    return unknown("normalizer", normalizer, "one Replace of a space by U+2581");
  }
  const Json& splitter = member(file, "pre_tokenizer");
  const bool splits_nothing =
      splitter.is_null() ||
      (member(splitter, "type") == "Split" && member(member(splitter, "pattern"), "String") == " ");
  if (!splits_nothing) return unknown("pre_tokenizer", splitter, "null or a Split at spaces");
  const Json& steps = member(member(file, "decoder"), "decoders");
  const bool decodes = member(member(file, "decoder"), "type") == "Sequence" && steps.is_array() &&
                       steps.size() == 3 && is_replace(steps[0], kSpace, " ") &&
                       member(steps[1], "type") == "ByteFallback" &&
                       member(steps[2], "type") == "Fuse";
  if (!decodes) {
    return unknown("decoder", member(file, "decoder"),
                   "a Sequence of Replace of U+2581 by a space, ByteFallback and Fuse");
  }
  return {};
}

struct Added {
  std::uint64_t id = 0;
  std::string content;
};

Result<std::vector<Added>> read_added(const Json& list) {
  std::vector<Added> added;
  if (list.is_null()) return added;
  if (!list.is_array()) return bad("added_tokens is not a list");
  for (std::size_t i = 0; i < list.size(); ++i) {
    const Json& id = member(list[i], "id");
    const Json& content = member(list[i], "content");
    if (!id.is_number_unsigned() || !content.is_string()) {
      return bad(fmt::format("added_tokens[{}] has no id or no content", i));
    }
    for (const char* flag : {"single_word", "lstrip", "rstrip"}) {
      if (is_true(member(list[i], flag))) {
        return unknown(fmt::format("added_tokens[{}].{}", i, flag), true, "false");
      }
    }
    auto text = content.get<std::string>();
    // Matching after normalisation differs from matching before only where spaces are involved.
    if (is_true(member(list[i], "normalized")) &&
        (text.find(' ') != std::string::npos || text.find(kSpace) != std::string::npos)) {
      return unknown(fmt::format("added_tokens[{}].normalized", i), true, "false");
    }
    added.push_back(Added{id.get<std::uint64_t>(), std::move(text)});
  }
  return added;
}

bool is_byte_spelling(std::string_view token) {
  return token.size() == 6 && token.starts_with("<0x") && token.back() == '>' &&
         token.find_first_not_of("0123456789ABCDEF", 3) == 5;
}

/// Puts every token at its id and checks that no place is taken twice or left empty.
Result<TokenizerData> place(BigLists lists, std::vector<Added> added) {
  TokenizerData data;
  std::uint64_t highest = 0;
  for (const auto& [token, id] : lists.vocab) highest = std::max(highest, id);
  for (const Added& token : added) highest = std::max(highest, token.id);
  if (lists.vocab.empty()) return bad("model.vocab is missing or empty");
  if (highest >= kMaxTokens || highest >= lists.vocab.size() + added.size()) {
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
  BigLists lists;
  const Json file = Json::parse(json.begin(), json.end(), Picker(lists),
                                /*allow_exceptions=*/false);
  if (file.is_discarded() || !file.is_object()) return bad("the file is not a JSON object");
  if (!lists.fault.empty()) return bad(lists.fault);
  PREFLIGHT_TRY_VOID(check_method(file));
  PREFLIGHT_TRY(std::vector<Added> added, read_added(member(file, "added_tokens")));
  return place(std::move(lists), std::move(added));
}

}  // namespace preflight::text
