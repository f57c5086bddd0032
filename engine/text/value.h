#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vk/error.h"

namespace preflight::text {

/// A JSON value as the chat format needs it: members keep their order, and a number is kept in the
/// text form in which a prompt shows it (docs/text.md).
struct Value {
  enum class Kind : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool boolean = false;
  std::string text;               ///< of a string or a number
  std::vector<std::string> keys;  ///< of an object, one per item
  std::vector<Value> items;       ///< of an array or an object

  static Value string(std::string_view text);

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_null() const { return kind == Kind::kNull; }
  bool is_string() const { return kind == Kind::kString; }
  bool is_array() const { return kind == Kind::kArray; }
  bool is_object() const { return kind == Kind::kObject; }

  /// False for null, false, zero and everything empty.
  bool is_truthy() const;

  /// The member of an object; null pointer if it has none or is no object.
  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  /// Sets or adds a member.
  void set(std::string_view key, Value value);
};

/// What an error message calls the kind: "a string", "an object" ...
std::string_view kind_name(Value::Kind kind);

/// At most kMaxDepth arrays and objects inside each other. Of two members with one key the last
/// counts. `what` names the text in errors.
Result<Value> parse_value(std::string_view json, std::string_view what);
constexpr std::size_t kMaxDepth = 64;

/// Shortest decimal digits that read back as `number`; an exponent below 1e-4 and from 1e16 on.
std::string float_text(double number);

}  // namespace preflight::text
