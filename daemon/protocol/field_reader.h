// Reading a JSON document field by field, collecting problems instead of stopping at the first.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/protocol/problem.h"

namespace preflight::protocol {

/// One JSON object at a known place. Every getter notes a wrong type; what is missing is noted only
/// where it is required.
class FieldReader {
 public:
  /// `object` must outlive the reader; anything but an object is noted and reads as empty.
  FieldReader(const nlohmann::json& object, std::string pointer, Problems& problems);

  bool is_object() const { return object_ != nullptr; }
  bool has(std::string_view name) const;
  std::string at(std::string_view name) const { return join_pointer(pointer_, name); }
  const std::string& pointer() const { return pointer_; }

  /// Strings longer than kMaxStringBytes are noted. "" where absent or wrong.
  std::string text(std::string_view name, bool required = false);
  std::optional<double> number(std::string_view name, double least, double most);
  std::vector<std::string> texts(std::string_view name, std::size_t most);
  /// The elements of a list, each with its pointer; empty where absent or wrong.
  struct Element {
    const nlohmann::json* value;
    std::string pointer;
  };
  std::vector<Element> list(std::string_view name, std::size_t most);
  const nlohmann::json* object(std::string_view name);

  /// Notes every field that is not in `known` (B101).
  void refuse_others(std::initializer_list<std::string_view> known);

  void error(std::string_view code, std::string pointer, std::string message,
             std::string hint = {});

  static constexpr std::size_t kMaxStringBytes = 64 << 10;

 private:
  const nlohmann::json* get(std::string_view name) const;

  const nlohmann::json* object_ = nullptr;
  std::string pointer_;
  Problems& problems_;
};

/// "a string", "a list", ... for messages.
std::string_view kind_name(const nlohmann::json& value);

}  // namespace preflight::protocol
