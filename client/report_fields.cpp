#include "client/report_fields.h"

#include <cmath>

#include <fmt/format.h>

namespace preflight::client {

using nlohmann::json;

std::string text_at(const json& object, const char* name) {
  if (!object.is_object()) return {};
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<double> number_at(const json& object, const char* name) {
  if (!object.is_object()) return std::nullopt;
  const auto found = object.find(name);
  if (found == object.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

const json& list_at(const json& object, const char* name) {
  static const json kEmpty = json::array();
  const auto found = object.find(name);
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

std::string clock_time(std::optional<double> seconds) {
  if (!seconds.has_value() || !(*seconds >= 0 && *seconds < 360'000)) return {};
  const auto tenths = static_cast<long>(std::lround(*seconds * 10));
  return fmt::format("{:02}:{:02}.{}", tenths / 600, tenths / 10 % 60, tenths % 10);
}

std::string value_text(const json& value) {
  switch (value.type()) {
    case json::value_t::null:
      return "not measured";
    case json::value_t::boolean:
      return value.get<bool>() ? "yes" : "no";
    case json::value_t::string:
      return value.get<std::string>();
    case json::value_t::number_float:
      return fmt::format("{:g}", std::round(value.get<double>() * 100) / 100);
    case json::value_t::array: {
      const bool size =
          value.size() == 2 && value[0].is_number_integer() && value[1].is_number_integer();
      std::string text;
      for (const json& item : value)
        text += (text.empty() ? "" : size ? " x " : ", ") + value_text(item);
      return text;
    }
    default:
      return value.dump(-1, ' ', false, json::error_handler_t::replace);
  }
}

std::string expectation(const json& fact) {
  const std::string op = text_at(fact, "op");
  const json expected = fact.value("expected", json());
  if (expected.is_null()) return "no verified rule";
  const std::string unit = text_at(fact, "unit");
  const std::string tail = unit.empty() ? "" : " " + unit;
  const std::string value = value_text(expected);
  if (op == "le") return fmt::format("at most {}{}", value, tail);
  if (op == "ge" || op == "min") return fmt::format("at least {}{}", value, tail);
  if (op == "in") return fmt::format("one of {}{}", value, tail);
  if (op == "in_max") return fmt::format("up to one of {}{}", value, tail);
  if (op == "near") return fmt::format("about {}{}", value, tail);
  if (op == "not_contains") return fmt::format("none of {}", value);
  if (op == "between" && expected.is_array() && expected.size() == 2) {
    return fmt::format("{} to {}{}", value_text(expected[0]), value_text(expected[1]), tail);
  }
  return value + tail;
}

}  // namespace preflight::client
