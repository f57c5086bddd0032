// Reading a JSON object's fields with a story for each that does not fit. Fields that are not known
// are passed over, so that an older reader understands a newer writer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "daemon/protocol/decode_error.h"

namespace preflight::protocol {

/// Parses `text` as one JSON object; `what` names it in the error.
Decoded<nlohmann::json> parse_object(std::string_view text, std::string_view what);

/// Takes fields out of one object; the first one that does not fit is kept as the error. A field
/// that is absent leaves its target as it is, except through need().
class ObjectReader {
 public:
  ObjectReader(const nlohmann::json& object, std::string pointer);

  void take(std::string_view name, std::string& target);
  void take(std::string_view name, bool& target);
  void take(std::string_view name, std::uint32_t& target);
  void take(std::string_view name, std::uint64_t& target);
  void take(std::string_view name, std::int64_t& target);
  void need(std::string_view name, std::string& target);
  /// The object below `name`; an empty one if it is absent.
  const nlohmann::json& child(std::string_view name);

  [[nodiscard]] bool good() const { return error_.message.empty(); }
  [[nodiscard]] const DecodeError& error() const { return error_; }

 private:
  const nlohmann::json* find(std::string_view name) const;
  void refuse(std::string_view name, std::string_view expected, const nlohmann::json& found);

  const nlohmann::json& object_;
  std::string pointer_;
  DecodeError error_;
};

}  // namespace preflight::protocol
