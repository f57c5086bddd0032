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

/// A measured or expected value: "1080 x 1920", "-14.2", "yes", "mp4, mov", "not measured".
std::string value_text(const nlohmann::json& value);

/// What a measured row's rule asks for, in words: "at most 60 s".
std::string expectation(const nlohmann::json& fact);

}  // namespace preflight::client
