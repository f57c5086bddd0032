// Single values out of a report, as text. Absent and null are the same: empty.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace preflight::client {

std::string text_at(const nlohmann::json& object, const char* name);
std::optional<double> number_at(const nlohmann::json& object, const char* name);
/// The list below `name`, or an empty one.
const nlohmann::json& list_at(const nlohmann::json& object, const char* name);

/// Seconds as "01:02.3".
std::string clock_time(std::optional<double> seconds);

}  // namespace preflight::client
