#include "engine/generate/constraint.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/generate/schema.h"

namespace preflight::generate {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxSchemaBytes = std::size_t{1} << 20;
constexpr std::size_t kMaxForcedBytes = 4096;
constexpr std::string_view kSpaceSymbol = "\xE2\x96\x81";  // U+2581

Result<Json> parse_schema(std::string_view text) {
  if (text.size() > kMaxSchemaBytes) {
    return fail(ErrorCode::kLimit, fmt::format("schema: its text is {} bytes long, at most {} are "
                                               "read",
                                               text.size(), kMaxSchemaBytes));
  }
  // A key that stands twice would silently lose one of its values.
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto watch = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && twice.empty()) {
      const auto& key = parsed.get_ref<const std::string&>();
      if (!keys.back().insert(key).second) twice = key;
    }
    return true;
  };
  Json schema = Json::parse(text, watch, /*allow_exceptions=*/false);
  if (schema.is_discarded()) {
    return fail(ErrorCode::kInvalidInput, "schema: the text is not JSON");
  }
  if (!twice.empty()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("schema: the key \"{}\" stands twice in one object", twice));
  }
  return schema;
}

// Whether some token that begins at or below `node`, longer than the node's, fits what may follow.
bool token_goes_on(const Automaton& automaton, const TokenTrie& trie, std::uint32_t node,
                   const Cursor& cursor) {
  const auto nodes = trie.nodes();
  const std::uint32_t end = nodes[node].subtree_end;
  std::vector<Cursor> path = {cursor};  // by depth below `node`
  std::uint32_t i = node + 1;
  while (i < end) {
    const std::size_t depth = nodes[i].depth - std::size_t{nodes[node].depth};
    path.resize(depth);
    Cursor next = path.back();
    if (!automaton.step(next, nodes[i].byte)) {
      i = nodes[i].subtree_end;
      continue;
    }
    if (nodes[i].ends) return true;
    path.push_back(next);
    ++i;
  }
  return false;
}

bool begins_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

// The largest length to which `text` may be cut so that no token of the vocabulary can lie across
// the cut, whatever allowed text follows (`behind` is the cursor after it); 0 if there is none.
// Merging only ever makes tokens of the vocabulary, so where none fits across a border the two
// sides are merged as if each stood alone.
std::size_t safe_length(const Automaton& automaton, const TokenTrie& trie, std::string_view text,
                        const Cursor& behind) {
  std::size_t safe = 0;
  std::size_t reach = 0;  // the furthest end of a token that begins before the border
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    if (begin >= reach && begins_character(text[begin])) safe = begin;
    std::uint32_t node = TokenTrie::kRoot;
    std::size_t end = begin;
    while (end < text.size()) {
      node = trie.child(node, static_cast<std::uint8_t>(text[end]));
      if (node == TokenTrie::kNone) break;
      ++end;
      if (trie.nodes()[node].ends) reach = std::max(reach, end);
    }
    if (node != TokenTrie::kNone && end == text.size() &&
        token_goes_on(automaton, trie, node, behind)) {
      return safe;
    }
  }
  // Behind the last byte: whole characters only, so none of the bytes that may follow goes on with
  // one that is begun.
  for (unsigned byte = 0x80; byte < 0xC0; ++byte) {
    Cursor next = behind;
    if (automaton.step(next, static_cast<std::uint8_t>(byte))) return safe;
  }
  return text.size();
}

}  // namespace

Result<Schema> Schema::compile(std::string_view json_schema,
                               std::shared_ptr<const Vocabulary> vocabulary,
                               const ConstraintLimits& limits) {
  PREFLIGHT_TRY(const Json schema, parse_schema(json_schema));
  return compile_parsed(schema, std::move(vocabulary), limits);
}

Result<Schema> Schema::compile_parsed(const Json& json_schema,
                                      std::shared_ptr<const Vocabulary> vocabulary,
                                      const ConstraintLimits& limits) {
  PREFLIGHT_ASSERT(vocabulary != nullptr);
  if (vocabulary->lacking_byte()) {
    return fail(ErrorCode::kUnsupported,
                fmt::format("schema: the model's vocabulary has no usable token for the single "
                            "byte 0x{:02X}, which an answer under a schema may need",
                            *vocabulary->lacking_byte()));
  }
  PREFLIGHT_TRY(CompiledAutomaton built, compile_automaton(json_schema, limits));
  const AnswerSize& longest = built.longest;
  const auto refuse = [&](std::size_t found, const char* unit, std::size_t limit) {
    std::string where;
    if (longest.heaviest_tokens > 0) {
      where = fmt::format("; {} of its tokens are at {}", longest.heaviest_tokens,
                          longest.heaviest.empty() ? "the root" : longest.heaviest);
    }
    return fail(
        ErrorCode::kLimit,
        fmt::format("schema: the longest answer has {}{} {}, the limit is {}{}; lower "
                    "maxLength or maxItems or raise the limit",
                    found == AnswerSize::kMost ? "more than " : "", found, unit, limit, where));
  };
  if (longest.tokens > limits.max_tokens)
    return refuse(longest.tokens, "tokens", limits.max_tokens);
  if (longest.chars > limits.max_chars)
    return refuse(longest.chars, "characters", limits.max_chars);

  auto compiled =
      std::make_shared<CompiledSchema>(std::move(built.automaton), std::move(vocabulary));
  compiled->longest_tokens = longest.tokens;
  compiled->longest_chars = longest.chars;
  const auto has_space_symbol = [](const std::string& text) {
    return text.find(kSpaceSymbol) != std::string::npos;
  };
  const Automaton& automaton = compiled->automaton;
  compiled->forcing_is_safe =
      std::none_of(automaton.texts.begin(), automaton.texts.end(), has_space_symbol) &&
      std::none_of(automaton.choices.begin(), automaton.choices.end(), [&](const auto& choice) {
        return std::any_of(choice.literals().begin(), choice.literals().end(),
                           [&](const Literal& literal) { return has_space_symbol(literal.json); });
      });
  return Schema(std::move(compiled));
}

std::size_t Schema::longest_answer_tokens() const { return compiled_->longest_tokens; }
std::size_t Schema::longest_answer_chars() const { return compiled_->longest_chars; }

ConstraintState Schema::begin() const { return {compiled_, compiled_->automaton.start()}; }

std::vector<std::int32_t> ConstraintState::certain_tokens(std::string text,
                                                          const Cursor& behind) const {
  const Vocabulary& vocabulary = *compiled_->vocabulary;
  // The rest of a character whose first bytes are already there cannot be encoded.
  if (text.empty() || !begins_character(text[0])) return {};
  text.resize(safe_length(compiled_->automaton, vocabulary.all(), text, behind));
  if (text.empty()) return {};
  std::vector<std::int32_t> ids = vocabulary.tokenizer().encode(text, /*parse_special=*/false);
  // A suppressed token cannot be given, and what is given must spell the text.
  std::string spelled;
  for (const std::int32_t id : ids) spelled += vocabulary.token_bytes(id);
  if (spelled != text) ids.clear();
  return ids;
}

std::vector<std::int32_t> ConstraintState::forced() const {
  if (!compiled_->forcing_is_safe) return {};
  Cursor behind = cursor_;
  std::string text = compiled_->automaton.forced_text(behind, kMaxForcedBytes);
  return certain_tokens(std::move(text), behind);
}

std::vector<std::int32_t> ConstraintState::spell(std::size_t index) const {
  if (!compiled_->forcing_is_safe) return {};
  const Automaton& automaton = compiled_->automaton;
  Cursor behind = cursor_;
  std::string text = automaton.forced_text(behind, kMaxForcedBytes);
  if (automaton.done(behind) || automaton.instructions[behind.pc].op != Op::kChoice) return {};
  const LiteralTrie& trie = automaton.choices[automaton.instructions[behind.pc].index];
  const LiteralTrie::Node* node = &trie.nodes()[behind.at];
  const std::size_t literal = node->literal_begin + index;
  PREFLIGHT_ASSERT(literal < node->literal_end);
  while (!node->terminal || node->literal_begin != literal) {
    const LiteralTrie::Node* next = &trie.nodes()[node->first_child];
    while (next->literal_end <= literal) ++next;
    node = next;
    PREFLIGHT_ASSERT(automaton.step(behind, node->byte));
    text.push_back(static_cast<char>(node->byte));
  }
  text += automaton.forced_text(behind, kMaxForcedBytes);
  return certain_tokens(std::move(text), behind);
}

std::shared_ptr<const std::vector<std::uint32_t>> ConstraintState::mask() const {
  return compiled_->masks.find(compiled_->automaton, *compiled_->vocabulary, cursor_);
}

std::optional<Choice> ConstraintState::choice() const {
  const Automaton& automaton = compiled_->automaton;
  const Vocabulary& vocabulary = *compiled_->vocabulary;
  Cursor at = cursor_;
  const std::string before = automaton.forced_text(at, kMaxForcedBytes);
  if (automaton.done(at) || automaton.instructions[at.pc].op != Op::kChoice) return std::nullopt;
  const LiteralTrie& trie = automaton.choices[automaton.instructions[at.pc].index];
  const LiteralTrie::Node& open = trie.nodes()[at.at];
  if (open.literal_end - open.literal_begin < 2) return std::nullopt;

  Choice choice{.pointer = automaton.pointer(at),
                .schema_literals = trie.literals().size(),
                .first_literal = open.literal_begin};
  for (std::uint32_t i = open.literal_begin; i < open.literal_end; ++i) {
    choice.literals.push_back({trie.literals()[i].json, trie.literals()[i].schema_index});
  }
  const auto mask = this->mask();
  for (std::size_t word = 0; word < mask->size(); ++word) {
    for (std::uint32_t bits = (*mask)[word]; bits != 0; bits &= bits - 1) {
      const auto id = static_cast<std::int32_t>(word * 32) + __builtin_ctz(bits);
      std::string_view bytes = vocabulary.token_bytes(id);
      bytes.remove_prefix(std::min(bytes.size(), before.size()));
      std::uint32_t node = at.at;
      bool left = false;  // the token went on behind the literal
      for (const char byte : bytes) {
        const auto child = trie.child(node, static_cast<std::uint8_t>(byte));
        left = !child;
        if (left) break;
        node = *child;
      }
      const LiteralTrie::Node& reached = trie.nodes()[node];
      choice.tokens.push_back(
          {.id = id,
           .begin = reached.literal_begin - open.literal_begin,
           .end = (left ? reached.literal_begin + 1 : reached.literal_end) - open.literal_begin});
    }
  }
  if (automaton.can_stop(cursor_)) {
    choice.stop_begin = 0;
    choice.stop_end = 1;  // the shortest literal sorts first
  }
  return choice;
}

Result<void> ConstraintState::advance(std::int32_t token) {
  const Automaton& automaton = compiled_->automaton;
  const std::string_view bytes = compiled_->vocabulary->token_bytes(token);
  Cursor next = cursor_;
  bool allowed = !bytes.empty();
  for (const char byte : bytes) {
    allowed = allowed && automaton.step(next, static_cast<std::uint8_t>(byte));
  }
  if (!allowed || !automaton.end_token(next)) {
    const std::string spelling = compiled_->vocabulary->tokenizer().decode({&token, 1}, true);
    return fail(ErrorCode::kInternal,
                fmt::format("token {} (\"{}\") is not allowed here, the schema asks for {}", token,
                            spelling, automaton.describe(cursor_)));
  }
  cursor_ = next;
  return {};
}

bool ConstraintState::done() const { return compiled_->automaton.done(cursor_); }
bool ConstraintState::can_stop() const { return compiled_->automaton.can_stop(cursor_); }
std::size_t ConstraintState::vocabulary_size() const { return compiled_->vocabulary->size(); }

}  // namespace preflight::generate
