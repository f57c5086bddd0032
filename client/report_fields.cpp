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

}  // namespace preflight::client
