#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/generate/literal_trie.h"
#include "engine/generate/number_range.h"

namespace preflight::generate {

/// Arrays inside arrays that a schema may have.
inline constexpr std::size_t kMaxArrayDepth = 8;

/// A place in the text of an answer. Plain data: it is copied at every node of a walk over tokens.
/// Fields that an instruction does not use are 0, so equal places are equal cursors.
struct Cursor {
  std::uint32_t pc = 0;  ///< instruction; the program's size at the end of the answer
  std::uint32_t at = 0;  ///< kText: byte; kChoice: node; kString: characters; kNumber: decimals
  std::uint64_t magnitude = 0;  ///< kNumber: the digits so far
  std::uint32_t tokens = 0;     ///< kString: tokens that ended inside this string
  std::uint8_t mode = 0;        ///< kString: StringMode; kNumber: part, and sign in bit 7
  bool fresh = false;           ///< kString: entered by the token that is being read
  std::array<std::uint16_t, kMaxArrayDepth> items{};  ///< finished items of each open array

  bool operator==(const Cursor&) const = default;
};

/// What of a cursor decides which tokens may follow: counts are cut to what one token can reach, so
/// that all places deep inside a long string, or early in a long array, are the same.
struct StateKey {
  std::uint32_t pc = 0;
  std::uint32_t at = 0;
  std::uint64_t magnitude = 0;
  std::uint32_t chars_left = 0, chars_needed = 0, spare_tokens = 0;
  std::uint8_t mode = 0;
  std::array<std::uint32_t, 2 * kMaxArrayDepth> items{};  // left and needed, for each open array

  bool operator==(const StateKey&) const = default;
};

struct StateKeyHash {
  std::size_t operator()(const StateKey& key) const;
};

enum class Op : std::uint8_t {
  kText,       ///< exactly `text`
  kString,     ///< characters and the closing quote (the opening one is in the text before)
  kNumber,     ///< a number of `range`
  kChoice,     ///< one of `literals`, without the beginning that they share
  kArrayOpen,  ///< after "[": "]" if `min` is 0, or the first item, which is the next instruction
  kArrayNext,  ///< after an item: "," and the next one (at `jump`) or "]"
};

struct Instruction {
  Op op = Op::kText;
  std::uint32_t min = 0, max = 0;  ///< kString: characters; arrays: items
  std::uint32_t jump = 0;          ///< kArrayOpen: behind the array; kArrayNext: the item
  std::uint32_t index = 0;         ///< into texts, ranges or choices
  std::uint8_t depth = 0;          ///< arrays: the place of their count in Cursor::items
  /// The kArrayNext of each array that is open here, outermost first (an array's own included at
  /// kArrayNext, not at kArrayOpen).
  std::vector<std::uint32_t> open_arrays{};
  /// kChoice: the JSON pointer in pieces; the number of an item stands between two pieces.
  std::vector<std::string> pointer{};
};

/// The texts a schema allows, as a machine over bytes: a row of instructions in the order of the
/// answer, with one jump back for each array. There is never more than one way to read a byte.
class Automaton {
 public:
  std::vector<Instruction> instructions;
  std::vector<std::string> texts;
  std::vector<NumberRange> ranges;
  std::vector<LiteralTrie> choices;

  Cursor start() const;
  /// Moves over one byte; false if it is not allowed (the cursor is then of no use).
  bool step(Cursor& cursor, std::uint8_t byte) const;
  /// Ends a token after its last byte: counts it where it ends inside a string. False if the string
  /// has no tokens left for what it must still hold.
  bool end_token(Cursor& cursor) const;

  bool done(const Cursor& cursor) const { return cursor.pc == instructions.size(); }
  /// The bytes so far are a whole answer.
  bool can_stop(const Cursor& cursor) const;
  /// The byte that must follow, if there is only one way on and the answer cannot stop here.
  std::optional<std::uint8_t> only_byte(const Cursor& cursor) const;
  /// The text that must follow, at most `max_bytes` of it; `cursor` moves behind it.
  std::string forced_text(Cursor& cursor, std::size_t max_bytes) const;

  /// `reach`: bytes of the longest token.
  StateKey key(const Cursor& cursor, std::size_t reach) const;
  /// Inside a string, between two characters, with room for at least one more token.
  bool takes_plain_text(const Cursor& cursor) const;
  /// Characters that the string at the cursor may still take.
  std::size_t chars_left(const Cursor& cursor) const;
  /// What may follow, for a message.
  std::string describe(const Cursor& cursor) const;
  /// Where in the answer a kChoice under the cursor stands, as a JSON pointer.
  std::string pointer(const Cursor& cursor) const;

 private:
  void enter(Cursor& cursor, std::uint32_t pc) const;
  bool step_string(Cursor& cursor, const Instruction& string, std::uint8_t byte) const;
};

}  // namespace preflight::generate
