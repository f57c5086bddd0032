#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace preflight::review {

/// The member of an object; null where there is none, or no object.
inline const nlohmann::json& field(const nlohmann::json& object, std::string_view name) {
  static const nlohmann::json kNothing;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return object.is_object() && found != object.end() ? *found : kNothing;
}

/// The text of a string; nothing where it is none.
inline std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

inline std::string text_of(const nlohmann::json& object, std::string_view name) {
  return text_of(field(object, name));
}

}  // namespace preflight::review
