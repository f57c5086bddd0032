#include "engine/generate/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/text/utf8.h"

namespace preflight::generate {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kMaxDepth = 32;
constexpr std::uint32_t kMaxStringChars = 1'000'000;
constexpr std::uint32_t kMaxArrayItems = 65'535;  // Cursor::items
constexpr std::size_t kMaxLiterals = 4096;
constexpr std::size_t kMaxKeys = 1024;
constexpr std::size_t kMaxKeyBytes = 256;
constexpr std::size_t kMaxChoices = 4096;  // places, each of which keeps its pointer

// Keywords that say something about a schema and nothing about its values.
constexpr std::array<std::string_view, 9> kAnnotations = {
    "title",    "description", "default",  "examples",  "$schema",
    "$comment", "deprecated",  "readOnly", "writeOnly",
};

// Where the compiler stands.
struct Spot {
  std::string schema_pointer{};               // in the schema
  std::vector<std::string> answer_pointer{};  // in the answer: Instruction::pointer
  std::vector<std::uint32_t> open_arrays{};   // Instruction::open_arrays
  std::size_t depth = 0;
};

// A value as it is written in an answer. Ill-formed text is checked before, or only printed.
std::string write(const Json& value) {
  return value.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

std::string excerpt(const Json& value) {
  constexpr std::size_t kMost = 60;
  if (value.is_structured()) return value.is_array() ? "an array" : "an object";
  std::string text = write(value);
  if (text.size() > kMost) text = text::replace_ill_formed(text.substr(0, kMost)) + "...";
  return text;
}

std::string pointer_token(std::string_view key) {
  std::string token = "/";
  for (const char c : key) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

bool has_type(const Json& value, std::string_view type) {
  if (type == "string") return value.is_string();
  if (type == "boolean") return value.is_boolean();
  if (type == "null") return value.is_null();
  if (type == "number") return value.is_number();
  if (type == "integer") {
    return value.is_number_integer() ||
           (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
  }
  return false;
}

Result<void> check_keywords(const Json& schema, const std::string& pointer,
                            std::initializer_list<std::string_view> allowed) {
  for (const auto& [keyword, value] : schema.items()) {
    if (std::find(allowed.begin(), allowed.end(), keyword) != allowed.end()) continue;
    if (std::find(kAnnotations.begin(), kAnnotations.end(), keyword) != kAnnotations.end())
      continue;
    return refuse(ErrorCode::kUnsupported, pointer + pointer_token(keyword),
                  fmt::format("this keyword is not supported here; besides annotations, {} may "
                              "stand in this schema",
                              fmt::join(allowed, ", ")));
  }
  return {};
}

// A count such as "maxLength", or `fallback` where the schema has none.
Result<std::uint32_t> read_count(const Json& schema, const char* keyword, std::size_t fallback,
                                 std::uint32_t most, const std::string& pointer) {
  const auto found = schema.find(keyword);
  if (found == schema.end())
    return static_cast<std::uint32_t>(std::min<std::size_t>(fallback, most));
  if (has_type(*found, "integer")) {
    const double count = found->get<double>();
    if (count >= 0 && count <= most) return static_cast<std::uint32_t>(count);
  }
  return refuse(ErrorCode::kInvalidInput, pointer + "/" + keyword,
                fmt::format("is {}, expected an integer from 0 to {}", excerpt(*found), most));
}

struct Counts {
  std::uint32_t min = 0, max = 0;
};

Result<Counts> read_counts(const Json& schema, const char* min_keyword, const char* max_keyword,
                           std::size_t default_max, std::uint32_t most,
                           const std::string& pointer) {
  PREFLIGHT_TRY(const std::uint32_t min, read_count(schema, min_keyword, 0, most, pointer));
  PREFLIGHT_TRY(const std::uint32_t max,
                read_count(schema, max_keyword, default_max, most, pointer));
  if (min > max) {
    return refuse(ErrorCode::kInvalidInput, pointer,
                  fmt::format("{} is {} but {} is {}{}", min_keyword, min, max_keyword, max,
                              schema.contains(max_keyword) ? "" : " where none is given"));
  }
  return Counts{min, max};
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

class Compiler {
 public:
  explicit Compiler(const ConstraintLimits& limits) : limits_(limits) {}

  Result<CompiledAutomaton> run(const Json& schema) {
    PREFLIGHT_TRY(auto longest, value(schema, Spot{.answer_pointer = {""}}));
    flush_text();
    return CompiledAutomaton{std::move(automaton_), std::move(longest)};
  }

 private:
  Result<AnswerSize> value(const Json& schema, const Spot& spot);
  Result<AnswerSize> literals(const Json& schema, const Spot& spot);
  Result<AnswerSize> object(const Json& schema, const Spot& spot);
  Result<AnswerSize> array(const Json& schema, const Spot& spot);
  Result<AnswerSize> string(const Json& schema, const Spot& spot);
  Result<AnswerSize> number(const Json& schema, bool integer, const Spot& spot);
  Result<AnswerSize> choice(std::vector<Literal> literals, const Spot& spot);

  // Fixed text; neighbouring pieces become one instruction.
  AnswerSize text(std::string_view piece) {
    text_ += piece;
    return {.tokens = piece.size(), .chars = characters(piece)};
  }

  void flush_text() {
    if (text_.empty()) return;
    Instruction instruction{.op = Op::kText};
    instruction.index = static_cast<std::uint32_t>(automaton_.texts.size());
    instruction.open_arrays = text_arrays_;
    automaton_.texts.push_back(std::exchange(text_, {}));
    automaton_.instructions.push_back(std::move(instruction));
  }

  std::uint32_t add(Instruction instruction, const Spot& spot) {
    flush_text();
    instruction.open_arrays = spot.open_arrays;
    const auto pc = static_cast<std::uint32_t>(automaton_.instructions.size());
    automaton_.instructions.push_back(std::move(instruction));
    return pc;
  }

  const ConstraintLimits& limits_;
  Automaton automaton_;
  std::string text_;                        // not yet an instruction
  std::vector<std::uint32_t> text_arrays_;  // arrays open at text_
};

Result<AnswerSize> Compiler::value(const Json& schema, const Spot& spot) {
  const std::string& pointer = spot.schema_pointer;
  if (!schema.is_object()) {
    return refuse(ErrorCode::kUnsupported, pointer,
                  fmt::format("is {}, expected an object with a type", excerpt(schema)));
  }
  if (spot.depth > kMaxDepth) {
    return refuse(ErrorCode::kUnsupported, pointer,
                  fmt::format("is nested deeper than {} levels", kMaxDepth));
  }
  for (const auto& [keyword, unused] : schema.items()) {
    if (!text::is_well_formed(keyword)) {
      return refuse(ErrorCode::kInvalidInput, pointer, "a keyword is not well-formed UTF-8");
    }
  }
  if (schema.contains("enum") || schema.contains("const")) return literals(schema, spot);
  const auto type = schema.find("type");
  if (type == schema.end()) {
    // Name the keyword that was meant to say what the value is, where there is one.
    for (const auto& [keyword, unused] : schema.items()) {
      if (std::find(kAnnotations.begin(), kAnnotations.end(), keyword) == kAnnotations.end()) {
        return refuse(ErrorCode::kUnsupported, pointer + pointer_token(keyword),
                      "a schema needs \"type\", \"enum\" or \"const\"; this keyword cannot stand "
                      "instead of them");
      }
    }
    return refuse(ErrorCode::kUnsupported, pointer,
                  "a schema needs \"type\", \"enum\" or \"const\"");
  }
  if (*type == "object") return object(schema, spot);
  if (*type == "array") return array(schema, spot);
  if (*type == "string") return string(schema, spot);
  if (*type == "integer") return number(schema, /*integer=*/true, spot);
  if (*type == "number") return number(schema, /*integer=*/false, spot);
  if (*type == "boolean") {
    PREFLIGHT_TRY_VOID(check_keywords(schema, pointer, {"type"}));
    return choice({{"false", 0}, {"true", 1}}, spot);
  }
  if (*type == "null") {
    PREFLIGHT_TRY_VOID(check_keywords(schema, pointer, {"type"}));
    return text("null");
  }
  return refuse(ErrorCode::kUnsupported, pointer + "/type",
                fmt::format("is {}, expected one of object, array, string, integer, number, "
                            "boolean, null",
                            excerpt(*type)));
}

Result<AnswerSize> Compiler::literals(const Json& schema, const Spot& spot) {
  const std::string& pointer = spot.schema_pointer;
  const bool is_const = schema.contains("const");
  const char* keyword = is_const ? "const" : "enum";
  PREFLIGHT_TRY_VOID(check_keywords(schema, pointer, {"type", keyword}));
  const Json& given = schema[keyword];
  const std::string list_pointer = pointer + "/" + keyword;
  if (!is_const && (!given.is_array() || given.empty() || given.size() > kMaxLiterals)) {
    return refuse(ErrorCode::kInvalidInput, list_pointer,
                  fmt::format("expected an array of 1 to {} values", kMaxLiterals));
  }
  std::vector<Literal> literals;
  for (std::size_t i = 0; i < (is_const ? 1 : given.size()); ++i) {
    const Json& value = is_const ? given : given[i];
    const std::string at = is_const ? list_pointer : fmt::format("{}/{}", list_pointer, i);
    if (value.is_structured() || value.is_binary()) {
      return refuse(
          ErrorCode::kUnsupported, at,
          fmt::format("is {}, expected a string, a number, a boolean or null", excerpt(value)));
    }
    if (value.is_string() && !text::is_well_formed(value.get_ref<const std::string&>())) {
      return refuse(ErrorCode::kInvalidInput, at, "is not well-formed UTF-8");
    }
    if (value.is_number_float() && !std::isfinite(value.get<double>())) {
      return refuse(ErrorCode::kInvalidInput, at, "is not finite");
    }
    if (const auto type = schema.find("type"); type != schema.end()) {
      if (!type->is_string() || !has_type(value, type->get_ref<const std::string&>())) {
        return refuse(ErrorCode::kInvalidInput, at,
                      fmt::format("is {}, which is not of the type {} beside it", excerpt(value),
                                  excerpt(*type)));
      }
    }
    literals.push_back({.json = write(value), .schema_index = i});
  }
  std::vector<std::string_view> sorted;
  sorted.reserve(literals.size());
  for (const Literal& literal : literals) sorted.push_back(literal.json);
  std::sort(sorted.begin(), sorted.end());
  if (const auto twice = std::adjacent_find(sorted.begin(), sorted.end()); twice != sorted.end()) {
    return refuse(ErrorCode::kInvalidInput, list_pointer,
                  fmt::format("has {} twice", excerpt(Json::parse(*twice))));
  }
  if (literals.size() == 1) return text(literals[0].json);
  return choice(std::move(literals), spot);
}

Result<AnswerSize> Compiler::choice(std::vector<Literal> literals, const Spot& spot) {
  if (automaton_.choices.size() == kMaxChoices) {
    return refuse(ErrorCode::kUnsupported, spot.schema_pointer,
                  fmt::format("more than {} places with a choice", kMaxChoices));
  }
  LiteralTrie trie(std::move(literals));
  AnswerSize size = text(trie.literals()[0].json.substr(0, trie.common_prefix()));
  size.tokens += trie.longest_bytes();
  size.chars += trie.longest_bytes();
  Instruction instruction{.op = Op::kChoice};
  instruction.index = static_cast<std::uint32_t>(automaton_.choices.size());
  instruction.pointer = spot.answer_pointer;
  automaton_.choices.push_back(std::move(trie));
  add(std::move(instruction), spot);
  return size;
}

Result<AnswerSize> Compiler::object(const Json& schema, const Spot& spot) {
  const std::string& pointer = spot.schema_pointer;
  PREFLIGHT_TRY_VOID(
      check_keywords(schema, pointer, {"type", "properties", "required", "additionalProperties"}));
  const Json none = Json::object();
  const auto found = schema.find("properties");
  const Json& properties = found == schema.end() ? none : *found;
  if (!properties.is_object() || properties.size() > kMaxKeys) {
    return refuse(ErrorCode::kInvalidInput, pointer + "/properties",
                  fmt::format("expected an object of at most {} keys", kMaxKeys));
  }
  if (const auto extra = schema.find("additionalProperties");
      extra != schema.end() && !extra->is_boolean()) {
    return refuse(ErrorCode::kUnsupported, pointer + "/additionalProperties",
                  fmt::format("is {}, expected true or false", excerpt(*extra)));
  }
  if (const auto required = schema.find("required"); required != schema.end()) {
    if (!required->is_array()) {
      return refuse(ErrorCode::kInvalidInput, pointer + "/required",
                    fmt::format("is {}, expected an array of keys", excerpt(*required)));
    }
    for (std::size_t i = 0; i < required->size(); ++i) {
      const Json& key = (*required)[i];
      if (!key.is_string() || !properties.contains(key.get_ref<const std::string&>())) {
        return refuse(ErrorCode::kInvalidInput, fmt::format("{}/required/{}", pointer, i),
                      fmt::format("is {}, expected a key of \"properties\"", excerpt(key)));
      }
    }
  }

  AnswerSize size = text("{");
  bool first = true;
  for (const auto& [key, property] : properties.items()) {
    if (!text::is_well_formed(key)) {
      return refuse(ErrorCode::kInvalidInput, pointer + "/properties",
                    "a key is not well-formed UTF-8");
    }
    if (key.size() > kMaxKeyBytes) {
      return refuse(
          ErrorCode::kUnsupported, pointer + "/properties",
          fmt::format("a key of {} bytes, at most {} are supported", key.size(), kMaxKeyBytes));
    }
    size.add(text(fmt::format("{}{}:", first ? "" : ",", write(Json(key)))));
    first = false;
    Spot inner = spot;
    inner.schema_pointer += "/properties" + pointer_token(key);
    inner.answer_pointer.back() += pointer_token(key);
    ++inner.depth;
    PREFLIGHT_TRY(const AnswerSize part, value(property, inner));
    size.add(part);
  }
  size.add(text("}"));
  return size;
}

Result<AnswerSize> Compiler::array(const Json& schema, const Spot& spot) {
  const std::string& pointer = spot.schema_pointer;
  PREFLIGHT_TRY_VOID(check_keywords(schema, pointer, {"type", "items", "minItems", "maxItems"}));
  PREFLIGHT_TRY(const Counts counts,
                read_counts(schema, "minItems", "maxItems", limits_.default_array_items,
                            kMaxArrayItems, pointer));
  const auto items = schema.find("items");
  if (items == schema.end() && counts.max > 0) {
    return refuse(ErrorCode::kUnsupported, pointer, "an array needs \"items\"");
  }
  if (counts.max == 0) return text("[]");
  if (spot.open_arrays.size() == kMaxArrayDepth) {
    return refuse(ErrorCode::kUnsupported, pointer,
                  fmt::format("arrays are nested deeper than {} levels", kMaxArrayDepth));
  }

  AnswerSize size = text("[");
  Instruction open{.op = Op::kArrayOpen, .min = counts.min, .max = counts.max};
  open.depth = static_cast<std::uint8_t>(spot.open_arrays.size());
  Instruction next = open;
  next.op = Op::kArrayNext;
  const std::uint32_t open_pc = add(std::move(open), spot);

  // The instruction that ends an item is known only behind the item; until then the item's
  // instructions hold a number that no instruction has.
  constexpr std::uint32_t kUnknown = 0xFFFFFFFF;
  Spot inner = spot;
  inner.schema_pointer += "/items";
  inner.answer_pointer.back() += "/";
  inner.answer_pointer.emplace_back();
  inner.open_arrays.push_back(kUnknown);
  ++inner.depth;
  text_arrays_ = inner.open_arrays;
  PREFLIGHT_TRY(AnswerSize item, value(*items, inner));
  next.jump = open_pc + 1;
  const std::uint32_t next_pc = add(std::move(next), inner);
  automaton_.instructions[open_pc].jump = next_pc + 1;
  const std::size_t level = spot.open_arrays.size();
  for (std::uint32_t pc = open_pc + 1; pc <= next_pc; ++pc) {
    automaton_.instructions[pc].open_arrays[level] = next_pc;
  }
  text_arrays_ = spot.open_arrays;

  // Each item is followed by a comma or the closing bracket.
  item.tokens += 1;
  item.chars += 1;
  size.add(item.times(counts.max));
  return size;
}

Result<AnswerSize> Compiler::string(const Json& schema, const Spot& spot) {
  PREFLIGHT_TRY_VOID(
      check_keywords(schema, spot.schema_pointer, {"type", "minLength", "maxLength"}));
  PREFLIGHT_TRY(const Counts counts,
                read_counts(schema, "minLength", "maxLength", limits_.default_string_chars,
                            kMaxStringChars, spot.schema_pointer));
  if (counts.max == 0) return text("\"\"");
  AnswerSize size = text("\"");
  add(Instruction{.op = Op::kString, .min = counts.min, .max = counts.max}, spot);
  // As many tokens as characters, and the closing quote; two characters where each is an escape.
  size.add({.tokens = counts.max + 1u,
            .chars = 2u * counts.max + 1u,
            .heaviest = spot.schema_pointer,
            .heaviest_tokens = counts.max + 1u});
  return size;
}

Result<AnswerSize> Compiler::number(const Json& schema, bool integer, const Spot& spot) {
  PREFLIGHT_TRY_VOID(check_keywords(
      schema, spot.schema_pointer,
      {"type", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}));
  PREFLIGHT_TRY(const NumberRange range, read_number_range(schema, integer, spot.schema_pointer));
  Instruction instruction{.op = Op::kNumber};
  instruction.index = static_cast<std::uint32_t>(automaton_.ranges.size());
  automaton_.ranges.push_back(range);
  add(std::move(instruction), spot);
  const std::size_t longest = longest_number_chars(range);
  return AnswerSize{.tokens = longest, .chars = longest};
}

}  // namespace

void AnswerSize::add(const AnswerSize& part) {
  tokens = std::min(kMost, tokens + part.tokens);
  chars = std::min(kMost, chars + part.chars);
  if (part.heaviest_tokens > heaviest_tokens) {
    heaviest = part.heaviest;
    heaviest_tokens = part.heaviest_tokens;
  }
}

AnswerSize AnswerSize::times(std::size_t count) const {
  const auto scale = [count](std::size_t size) {
    return size > kMost / count ? kMost : size * count;
  };
  return {.tokens = scale(tokens),
          .chars = scale(chars),
          .heaviest = heaviest,
          .heaviest_tokens = scale(heaviest_tokens)};
}

tl::unexpected<Error> refuse(ErrorCode code, const std::string& pointer,
                             const std::string& sentence) {
  return fail(code,
              fmt::format("{}: {}", pointer.empty() ? "schema" : "schema " + pointer, sentence));
}

Result<CompiledAutomaton> compile_automaton(const Json& schema, const ConstraintLimits& limits) {
  return Compiler(limits).run(schema);
}

}  // namespace preflight::generate
