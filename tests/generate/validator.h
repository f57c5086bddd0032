#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace preflight::generate {

/// A second reading of the supported part of JSON Schema, on values instead of bytes. Returns why
/// the value does not fit, or nothing. Keys must stand in the schema's order.
std::string why_invalid(const nlohmann::ordered_json& schema, const nlohmann::ordered_json& value);

}  // namespace preflight::generate
