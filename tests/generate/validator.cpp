#include "tests/generate/validator.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace preflight::generate {
namespace {

using Json = nlohmann::ordered_json;

std::size_t code_points(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string check_size(const Json& schema, const char* min, const char* max,
                       std::size_t default_max, std::size_t size) {
  if (size >= schema.value(min, std::size_t{0}) && size <= schema.value(max, default_max)) {
    return {};
  }
  return fmt::format("a size of {} against {}", size, schema.dump());
}

std::string check_number(const Json& schema, const Json& value) {
  const double x = value.get<double>();
  constexpr double kInfinity = HUGE_VAL;
  const bool inside = x >= schema.value("minimum", -kInfinity) &&
                      x <= schema.value("maximum", kInfinity) &&
                      x > schema.value("exclusiveMinimum", -kInfinity) &&
                      x < schema.value("exclusiveMaximum", kInfinity);
  const double steps = x / schema.value("multipleOf", 1e-9);
  const bool on_grid = !schema.contains("multipleOf") || std::abs(steps - std::round(steps)) < 1e-6;
  return inside && on_grid ? "" : fmt::format("{} against {}", value.dump(), schema.dump());
}

}  // namespace

std::string why_invalid(const Json& schema, const Json& value) {
  if (schema.contains("const")) {
    return value == schema["const"] ? "" : "not the constant: " + value.dump();
  }
  if (schema.contains("enum")) {
    const Json& literals = schema["enum"];
    const bool found = std::find(literals.begin(), literals.end(), value) != literals.end();
    return found ? "" : "not in the enum: " + value.dump();
  }
  const std::string type = schema.at("type");
  if (type == "null") return value.is_null() ? "" : "not null";
  if (type == "boolean") return value.is_boolean() ? "" : "not a boolean";
  if (type == "integer") {
    return value.is_number_integer() ? check_number(schema, value) : "not an integer";
  }
  if (type == "number") return value.is_number() ? check_number(schema, value) : "not a number";
  if (type == "string") {
    if (!value.is_string()) return "not a string";
    return check_size(schema, "minLength", "maxLength", 256, code_points(value));
  }
  if (type == "array") {
    if (!value.is_array()) return "not an array";
    std::string why = check_size(schema, "minItems", "maxItems", 16, value.size());
    for (std::size_t i = 0; why.empty() && i < value.size(); ++i) {
      why = why_invalid(schema["items"], value[i]);
    }
    return why;
  }
  if (!value.is_object()) return "not an object";
  const Json& properties = schema["properties"];
  if (value.size() != properties.size()) return "other keys than in the schema";
  auto wanted = properties.begin();
  for (auto found = value.begin(); found != value.end(); ++found, ++wanted) {
    if (found.key() != wanted.key()) return "the key " + found.key() + " out of order";
    if (std::string why = why_invalid(wanted.value(), found.value()); !why.empty()) return why;
  }
  return {};
}

}  // namespace preflight::generate
