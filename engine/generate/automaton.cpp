#include "engine/generate/automaton.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "vk/error.h"

namespace preflight::generate {
namespace {

// What of a character of a string is still to come. The narrow second bytes keep out overlong
// forms, surrogates, numbers past U+10FFFF and the control characters U+0080 to U+009F.
enum StringMode : std::uint8_t {
  kGround,
  kEscape,     // after a backslash
  kOneMore,    // 80..BF
  kTwoMore,    // 80..BF twice
  kThreeMore,  // 80..BF three times
  kAfterC2,    // A0..BF
  kAfterE0,    // A0..BF, then one more
  kAfterEd,    // 80..9F, then one more
  kAfterF0,    // 90..BF, then two more
  kAfterF4,    // 80..8F, then two more
};

// Bytes, and so tokens at most, that end the character begun.
constexpr std::array<std::uint8_t, 10> kPending = {0, 1, 1, 2, 3, 1, 2, 2, 3, 3};

constexpr std::uint8_t kNegativeBit = 0x80;
constexpr std::uint32_t kMostSpareTokens = 5;  // more than any character takes

NumberState number_state(const Cursor& cursor) {
  return {.part = static_cast<NumberState::Part>(cursor.mode & ~kNegativeBit),
          .negative = (cursor.mode & kNegativeBit) != 0,
          .decimals = static_cast<std::uint8_t>(cursor.at),
          .magnitude = cursor.magnitude};
}

void store_number_state(Cursor& cursor, const NumberState& state) {
  cursor.mode = static_cast<std::uint8_t>(static_cast<std::uint8_t>(state.part) |
                                          (state.negative ? kNegativeBit : 0));
  cursor.at = state.decimals;
  cursor.magnitude = state.magnitude;
}

std::uint32_t missing(std::uint32_t wanted, std::uint32_t have) {
  return wanted > have ? wanted - have : 0;
}

// The mode after the first byte of a character that is no escape; nothing if it cannot be one.
std::optional<StringMode> first_byte(std::uint8_t byte) {
  if (byte < 0x20 || byte == 0x7F) return std::nullopt;
  if (byte < 0x80) return kGround;
  if (byte < 0xC2) return std::nullopt;
  if (byte == 0xC2) return kAfterC2;
  if (byte < 0xE0) return kOneMore;
  if (byte == 0xE0) return kAfterE0;
  if (byte == 0xED) return kAfterEd;
  if (byte < 0xF0) return kTwoMore;
  if (byte == 0xF0) return kAfterF0;
  if (byte < 0xF4) return kThreeMore;
  if (byte == 0xF4) return kAfterF4;
  return std::nullopt;
}

// The mode after a further byte of a character.
std::optional<StringMode> next_byte(std::uint8_t mode, std::uint8_t byte) {
  const auto within = [byte](std::uint8_t low, std::uint8_t high, StringMode next) {
    return byte >= low && byte <= high ? std::optional(next) : std::nullopt;
  };
  switch (mode) {
    case kEscape:
      // The short escapes; a character without one is written as it is.
      return std::string_view("\"\\bfnrt").find(static_cast<char>(byte)) != std::string_view::npos
                 ? std::optional(kGround)
                 : std::nullopt;
    case kOneMore:
      return within(0x80, 0xBF, kGround);
    case kTwoMore:
      return within(0x80, 0xBF, kOneMore);
    case kThreeMore:
      return within(0x80, 0xBF, kTwoMore);
    case kAfterC2:
      return within(0xA0, 0xBF, kGround);
    case kAfterE0:
      return within(0xA0, 0xBF, kOneMore);
    case kAfterEd:
      return within(0x80, 0x9F, kOneMore);
    case kAfterF0:
      return within(0x90, 0xBF, kTwoMore);
    case kAfterF4:
      return within(0x80, 0x8F, kTwoMore);
    default:
      return std::nullopt;
  }
}

}  // namespace

std::size_t StateKeyHash::operator()(const StateKey& key) const {
  std::uint64_t hash = 0xCBF29CE484222325;
  const auto mix = [&hash](std::uint64_t value) {
    hash = (hash ^ value) * 0x9E3779B97F4A7C15;
    hash ^= hash >> 29;
  };
  mix(key.pc);
  mix(key.at);
  mix(key.magnitude);
  mix(key.chars_left);
  mix(key.chars_needed);
  mix(key.spare_tokens);
  mix(key.mode);
  for (const std::uint32_t count : key.items) mix(count);
  return static_cast<std::size_t>(hash);
}

Cursor Automaton::start() const {
  Cursor cursor;
  enter(cursor, 0);
  return cursor;
}

void Automaton::enter(Cursor& cursor, std::uint32_t pc) const {
  cursor.at = 0;
  cursor.magnitude = 0;
  cursor.tokens = 0;
  cursor.mode = 0;
  cursor.fresh = false;
  // An array that must have an item begins with it.
  while (pc < instructions.size() && instructions[pc].op == Op::kArrayOpen &&
         instructions[pc].min > 0) {
    ++pc;
  }
  cursor.pc = pc;
  if (pc == instructions.size()) return;
  if (instructions[pc].op == Op::kArrayNext) ++cursor.items[instructions[pc].depth];
  if (instructions[pc].op == Op::kString) cursor.fresh = true;
}

bool Automaton::step(Cursor& cursor, std::uint8_t byte) const {
  // Each round either reads the byte or leaves an instruction that is complete without it.
  while (cursor.pc < instructions.size()) {
    const Instruction& instruction = instructions[cursor.pc];
    switch (instruction.op) {
      case Op::kText: {
        const std::string& text = texts[instruction.index];
        if (static_cast<std::uint8_t>(text[cursor.at]) != byte) return false;
        if (++cursor.at == text.size()) enter(cursor, cursor.pc + 1);
        return true;
      }
      case Op::kString:
        return step_string(cursor, instruction, byte);
      case Op::kNumber: {
        const NumberRange& range = ranges[instruction.index];
        NumberState state = number_state(cursor);
        if (step_number(range, state, byte)) {
          if (can_continue(range, state)) {
            store_number_state(cursor, state);
          } else {
            enter(cursor, cursor.pc + 1);
          }
          return true;
        }
        if (!is_number(range, state)) return false;
        enter(cursor, cursor.pc + 1);
        break;
      }
      case Op::kChoice: {
        const LiteralTrie& choice = choices[instruction.index];
        if (const auto child = choice.child(cursor.at, byte)) {
          if (choice.nodes()[*child].n_children == 0) {
            enter(cursor, cursor.pc + 1);
          } else {
            cursor.at = *child;
          }
          return true;
        }
        if (!choice.nodes()[cursor.at].terminal) return false;
        enter(cursor, cursor.pc + 1);
        break;
      }
      case Op::kArrayOpen:
        if (byte == ']') {
          enter(cursor, instruction.jump);
          return true;
        }
        enter(cursor, cursor.pc + 1);
        break;
      case Op::kArrayNext: {
        const std::uint16_t items = cursor.items[instruction.depth];
        if (byte == ',' && items < instruction.max) {
          enter(cursor, instruction.jump);
          return true;
        }
        if (byte != ']' || items < instruction.min) return false;
        cursor.items[instruction.depth] = 0;
        enter(cursor, cursor.pc + 1);
        return true;
      }
    }
  }
  return false;
}

bool Automaton::step_string(Cursor& cursor, const Instruction& string, std::uint8_t byte) const {
  if (cursor.mode != kGround) {
    const auto mode = next_byte(cursor.mode, byte);
    if (mode) cursor.mode = *mode;
    return mode.has_value();
  }
  if (byte == '"') {
    if (cursor.at < string.min) return false;
    enter(cursor, cursor.pc + 1);
    return true;
  }
  if (cursor.at == string.max) return false;
  const auto mode = byte == '\\' ? std::optional(kEscape) : first_byte(byte);
  if (!mode) return false;
  cursor.mode = *mode;
  ++cursor.at;
  return true;
}

bool Automaton::end_token(Cursor& cursor) const {
  if (done(cursor) || instructions[cursor.pc].op != Op::kString) return true;
  const Instruction& string = instructions[cursor.pc];
  // A token that opened the string is paid for by the quote it read.
  if (!cursor.fresh) ++cursor.tokens;
  cursor.fresh = false;
  return cursor.tokens + kPending[cursor.mode] + missing(string.min, cursor.at) <= string.max;
}

bool Automaton::can_stop(const Cursor& cursor) const {
  if (done(cursor)) return true;
  if (cursor.pc + 1 != instructions.size()) return false;
  const Instruction& last = instructions[cursor.pc];
  if (last.op == Op::kNumber) return is_number(ranges[last.index], number_state(cursor));
  if (last.op == Op::kChoice) return choices[last.index].nodes()[cursor.at].terminal;
  return false;
}

std::optional<std::uint8_t> Automaton::only_byte(const Cursor& cursor) const {
  if (can_stop(cursor)) return std::nullopt;
  const Instruction& instruction = instructions[cursor.pc];
  if (instruction.op == Op::kText) {
    return static_cast<std::uint8_t>(texts[instruction.index][cursor.at]);
  }
  if (instruction.op == Op::kChoice) {
    const LiteralTrie& choice = choices[instruction.index];
    const LiteralTrie::Node& node = choice.nodes()[cursor.at];
    if (!node.terminal && node.n_children > 1) return std::nullopt;
    if (!node.terminal) return choice.nodes()[node.first_child].byte;
  }
  if (instruction.op == Op::kString && cursor.mode == kGround && !cursor.fresh &&
      cursor.tokens == instruction.max) {
    return static_cast<std::uint8_t>('"');
  }
  std::optional<std::uint8_t> only;
  for (unsigned byte = 0; byte < 256; ++byte) {
    Cursor next = cursor;
    if (!step(next, static_cast<std::uint8_t>(byte))) continue;
    if (only) return std::nullopt;
    only = static_cast<std::uint8_t>(byte);
  }
  return only;
}

std::string Automaton::forced_text(Cursor& cursor, std::size_t max_bytes) const {
  std::string text;
  while (text.size() < max_bytes) {
    const auto byte = only_byte(cursor);
    if (!byte) break;
    PREFLIGHT_ASSERT(step(cursor, *byte));
    text.push_back(static_cast<char>(*byte));
  }
  return text;
}

StateKey Automaton::key(const Cursor& cursor, std::size_t reach) const {
  StateKey key{.pc = cursor.pc, .at = cursor.at, .magnitude = cursor.magnitude};
  key.mode = cursor.mode;
  if (done(cursor)) return key;
  const auto cut = [reach](std::uint32_t count) {
    return static_cast<std::uint32_t>(std::min<std::size_t>(count, reach));
  };
  const Instruction& instruction = instructions[cursor.pc];
  if (instruction.op == Op::kString) {
    const std::uint32_t needed = missing(instruction.min, cursor.at);
    key.at = 0;
    key.chars_left = cut(instruction.max - cursor.at);
    key.chars_needed = cut(needed);
    key.spare_tokens = std::min(instruction.max - cursor.tokens - needed, kMostSpareTokens);
  }
  for (std::size_t i = 0; i < instruction.open_arrays.size(); ++i) {
    const Instruction& array = instructions[instruction.open_arrays[i]];
    const std::uint32_t items = cursor.items[array.depth];
    key.items[2 * i] = cut(array.max - items);
    key.items[2 * i + 1] = cut(missing(array.min, items));
  }
  return key;
}

bool Automaton::takes_plain_text(const Cursor& cursor) const {
  if (done(cursor)) return false;
  const Instruction& instruction = instructions[cursor.pc];
  return instruction.op == Op::kString && cursor.mode == kGround &&
         (cursor.fresh || cursor.tokens < instruction.max);
}

std::size_t Automaton::chars_left(const Cursor& cursor) const {
  return instructions[cursor.pc].max - cursor.at;
}

std::string Automaton::describe(const Cursor& cursor) const {
  if (done(cursor)) return "the end of the answer";
  const Instruction& instruction = instructions[cursor.pc];
  switch (instruction.op) {
    case Op::kText:
      return fmt::format("the text {}", texts[instruction.index].substr(cursor.at));
    case Op::kString:
      return fmt::format("a string with {} of {} to {} characters", cursor.at, instruction.min,
                         instruction.max);
    case Op::kNumber:
      return "a number inside its limits";
    case Op::kChoice: {
      const LiteralTrie& choice = choices[instruction.index];
      const LiteralTrie::Node& node = choice.nodes()[cursor.at];
      return fmt::format("one of {} literals such as {}", node.literal_end - node.literal_begin,
                         choice.literals()[node.literal_begin].json);
    }
    case Op::kArrayOpen:
      return "the first item of an array or its end";
    case Op::kArrayNext:
      return fmt::format("an array with {} of {} to {} items", cursor.items[instruction.depth],
                         instruction.min, instruction.max);
  }
  return {};
}

std::string Automaton::pointer(const Cursor& cursor) const {
  const Instruction& instruction = instructions[cursor.pc];
  std::string text;
  for (std::size_t i = 0; i < instruction.pointer.size(); ++i) {
    if (i > 0) text += fmt::format("{}", cursor.items[i - 1]);
    text += instruction.pointer[i];
  }
  return text;
}

}  // namespace preflight::generate
