#include "daemon/protocol/field_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace preflight::protocol {

std::string_view kind_name(const nlohmann::json& value) {
  switch (value.type()) {
    case nlohmann::json::value_t::null:
      return "null";
    case nlohmann::json::value_t::boolean:
      return "true or false";
    case nlohmann::json::value_t::string:
      return "a string";
    case nlohmann::json::value_t::array:
      return "a list";
    case nlohmann::json::value_t::object:
      return "an object";
    default:
      return "a number";
  }
}

FieldReader::FieldReader(const nlohmann::json& object, std::string pointer, Problems& problems)
    : pointer_(std::move(pointer)), problems_(problems) {
  if (object.is_object())
    object_ = &object;
  else
    error("B010", pointer_, fmt::format("expected an object, found {}", kind_name(object)));
}

void FieldReader::error(std::string_view code, std::string pointer, std::string message,
                        std::string hint) {
  problems_.errors.push_back(
      {std::string(code), std::move(pointer), std::move(message), std::move(hint), -1});
}

const nlohmann::json* FieldReader::get(std::string_view name) const {
  if (object_ == nullptr) return nullptr;
  const auto found = object_->find(name);
  // null counts as absent, so that a template may name a field and leave it open.
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool FieldReader::has(std::string_view name) const { return get(name) != nullptr; }

std::string FieldReader::text(std::string_view name, bool required) {
  const nlohmann::json* value = get(name);
  if (value == nullptr) {
    if (required && object_ != nullptr)
      error("B011", at(name), fmt::format("required field \"{}\" is missing", name));
    return {};
  }
  if (!value->is_string()) {
    error("B010", at(name), fmt::format("expected a string, found {}", kind_name(*value)));
    return {};
  }
  const auto& found = value->get_ref<const std::string&>();
  if (found.size() > kMaxStringBytes) {
    error("B047", at(name),
          fmt::format("string of {} bytes, at most {} are read", found.size(), kMaxStringBytes),
          "put long texts into a file of their own");
    return {};
  }
  if (required && found.empty()) error("B011", at(name), fmt::format("\"{}\" is empty", name));
  return found;
}

std::optional<double> FieldReader::number(std::string_view name, double least, double most) {
  const nlohmann::json* value = get(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) {
    error("B010", at(name), fmt::format("expected a number, found {}", kind_name(*value)));
    return std::nullopt;
  }
  const double found = value->get<double>();
  if (!std::isfinite(found) || found < least || found > most) {
    error("B014", at(name), fmt::format("{} is not between {} and {}", found, least, most));
    return std::nullopt;
  }
  return found;
}

std::vector<FieldReader::Element> FieldReader::list(std::string_view name, std::size_t most) {
  const nlohmann::json* value = get(name);
  if (value == nullptr) return {};
  if (!value->is_array()) {
    error("B010", at(name), fmt::format("expected a list, found {}", kind_name(*value)));
    return {};
  }
  std::vector<Element> out;
  const std::size_t n = std::min(value->size(), most);
  for (std::size_t i = 0; i < n; ++i)
    out.push_back({&(*value)[i], join_pointer(at(name), std::to_string(i))});
  if (value->size() > most)
    error("B043", at(name), fmt::format("{} entries, at most {} are read", value->size(), most));
  return out;
}

std::vector<std::string> FieldReader::texts(std::string_view name, std::size_t most) {
  std::vector<std::string> out;
  for (const Element& element : list(name, most)) {
    if (!element.value->is_string()) {
      error("B010", element.pointer,
            fmt::format("expected a string, found {}", kind_name(*element.value)));
      continue;
    }
    const auto& found = element.value->get_ref<const std::string&>();
    if (found.size() > kMaxStringBytes) {
      error("B047", element.pointer,
            fmt::format("string of {} bytes, at most {} are read", found.size(), kMaxStringBytes));
      continue;
    }
    out.push_back(found);
  }
  return out;
}

const nlohmann::json* FieldReader::object(std::string_view name) {
  const nlohmann::json* value = get(name);
  if (value == nullptr) return nullptr;
  if (value->is_object()) return value;
  error("B010", at(name), fmt::format("expected an object, found {}", kind_name(*value)));
  return nullptr;
}

void FieldReader::refuse_others(std::initializer_list<std::string_view> known) {
  if (object_ == nullptr) return;
  const std::vector<std::string_view> names(known);
  for (const auto& [name, value] : object_->items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const std::string near = nearest_name(name, names);
    problems_.warnings.push_back({"B101", at(name), fmt::format("unknown field \"{}\"", name),
                                  near.empty() ? "it is not used" : "did you mean " + near + "?",
                                  -1});
  }
}

}  // namespace preflight::protocol
