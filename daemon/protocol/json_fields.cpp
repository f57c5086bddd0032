#include "daemon/protocol/json_fields.h"

#include <limits>
#include <utility>

#include <fmt/format.h>

namespace preflight::protocol {

using nlohmann::json;

Decoded<json> parse_object(std::string_view text, std::string_view what) {
  json value = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded())
    return tl::unexpected(DecodeError{fmt::format("{} is not JSON ({} bytes)", what, text.size())});
  if (!value.is_object())
    return tl::unexpected(
        DecodeError{fmt::format("{} is {}, expected an object", what, value.type_name())});
  return value;
}

ObjectReader::ObjectReader(const json& object, std::string pointer)
    : object_(object), pointer_(std::move(pointer)) {}

const json* ObjectReader::find(std::string_view name) const {
  const auto it = object_.find(name);
  return it == object_.end() || it->is_null() ? nullptr : &*it;
}

void ObjectReader::refuse(std::string_view name, std::string_view expected, const json& found) {
  if (!good()) return;
  error_.message =
      fmt::format("{}/{} is {}, expected {}", pointer_, name, found.type_name(), expected);
}

void ObjectReader::take(std::string_view name, std::string& target) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (const auto* text = value->get_ptr<const json::string_t*>())
    target = *text;
  else
    refuse(name, "a string", *value);
}

void ObjectReader::take(std::string_view name, bool& target) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (value->is_boolean())
    target = value->get<bool>();
  else
    refuse(name, "true or false", *value);
}

void ObjectReader::take(std::string_view name, std::uint64_t& target) {
  const json* value = find(name);
  if (value == nullptr) return;
  if (value->is_number_unsigned())
    target = value->get<std::uint64_t>();
  else
    refuse(name, "a whole number from 0", *value);
}

void ObjectReader::take(std::string_view name, std::uint32_t& target) {
  std::uint64_t wide = target;
  take(name, wide);
  if (wide > std::numeric_limits<std::uint32_t>::max())
    refuse(name, "a whole number below 2^32", *find(name));
  else
    target = static_cast<std::uint32_t>(wide);
}

void ObjectReader::take(std::string_view name, std::int64_t& target) {
  const json* value = find(name);
  if (value == nullptr) return;
  const bool fits = value->is_number_integer() &&
                    (!value->is_number_unsigned() ||
                     value->get<std::uint64_t>() <=
                         static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
  if (fits)
    target = value->get<std::int64_t>();
  else
    refuse(name, "a whole number", *value);
}

void ObjectReader::need(std::string_view name, std::string& target) {
  if (find(name) == nullptr && good())
    error_.message = fmt::format("{}/{} is missing, expected a string", pointer_, name);
  take(name, target);
}

const json& ObjectReader::child(std::string_view name) {
  static const json kEmpty = json::object();
  const json* value = find(name);
  if (value == nullptr) return kEmpty;
  if (value->is_object()) return *value;
  refuse(name, "an object", *value);
  return kEmpty;
}

}  // namespace preflight::protocol
