#include "engine/model/json_text.h"

#include <cmath>
#include <limits>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "engine/model/mapped_file.h"

namespace preflight::model {
namespace {

using nlohmann::json;

/// Walks the text without building anything and finds what the document parser would let pass.
class StrictCheck final : public nlohmann::json_sax<json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool start_array(std::size_t) override { return enter(); }
  bool end_array() override { return leave(); }
  bool key(string_t& name) override {
    if (keys_.back().insert(name).second) return true;
    problem_ = fmt::format("key {} stands twice", in_quotes(name));
    return false;
  }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::detail::exception&) override {
    problem_ = fmt::format("is no valid JSON at byte {}", position);
    return false;
  }
  const std::string& problem() const { return problem_; }

 private:
  bool enter() {
    constexpr std::size_t kDeepest = 64;
    keys_.emplace_back();
    if (keys_.size() <= kDeepest) return true;
    problem_ = fmt::format("is nested deeper than {} levels", kDeepest);
    return false;
  }
  bool leave() {
    keys_.pop_back();
    return true;
  }
  std::vector<std::set<std::string>> keys_;
  std::string problem_;
};

std::string shown(const json& value) {
  return value.is_object() || value.is_array()
             ? std::string(value.is_object() ? "an object" : "a list")
             : in_quotes(value.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace

Result<json> parse_json_object(std::string_view text, std::string_view file) {
  StrictCheck check;
  if (!json::sax_parse(text.begin(), text.end(), &check))
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: {}", file, check.problem()));
  json document = json::parse(text.begin(), text.end(), nullptr, false);
  if (!document.is_object())
    return fail(ErrorCode::kInvalidInput, fmt::format("{}: is JSON, but no object", file));
  return document;
}

JsonView::JsonView(const json& object, std::string file, std::string path)
    : object_(&object), file_(std::move(file)), path_(std::move(path)) {
  PREFLIGHT_ASSERT(object.is_object());
}

const json* JsonView::find(std::string_view key) const {
  const auto it = object_->find(key);
  return it == object_->end() || it->is_null() ? nullptr : &*it;
}

bool JsonView::has(std::string_view key) const { return find(key) != nullptr; }

tl::unexpected<Error> JsonView::wrong(ErrorCode code, std::string_view key,
                                      std::string_view rest) const {
  return fail(code, fmt::format("{}: key {}{}: {}", file_, path_, key, rest));
}

tl::unexpected<Error> JsonView::missing(std::string_view key) const {
  return wrong(ErrorCode::kInvalidInput, key, "is missing");
}

tl::unexpected<Error> JsonView::mistyped(std::string_view key, const json& found,
                                         std::string_view expected) const {
  return wrong(ErrorCode::kInvalidInput, key,
               fmt::format("is {}, expected {}", shown(found), expected));
}

Result<std::optional<JsonView>> JsonView::find_object(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_object()) return mistyped(key, *value, "an object");
  return JsonView(*value, file_, fmt::format("{}{}.", path_, key));
}

Result<JsonView> JsonView::object(std::string_view key) const {
  PREFLIGHT_TRY(std::optional<JsonView> view, find_object(key));
  if (!view) return missing(key);
  return std::move(*view);
}

Result<std::optional<std::uint32_t>> JsonView::find_uint(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_unsigned() ||
      value->get<std::uint64_t>() > std::numeric_limits<std::uint32_t>::max())
    return mistyped(key, *value, "an integer from 0 to 4294967295");
  return static_cast<std::uint32_t>(value->get<std::uint64_t>());
}

Result<std::uint32_t> JsonView::uint(std::string_view key) const {
  PREFLIGHT_TRY(const std::optional<std::uint32_t> value, find_uint(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::optional<double>> JsonView::find_number(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  // Callers round to f32, whose range must not be left.
  if (!value->is_number() ||
      !(std::abs(value->get<double>()) <= double{std::numeric_limits<float>::max()}))
    return mistyped(key, *value, "a number");
  return value->get<double>();
}

Result<double> JsonView::number(std::string_view key) const {
  PREFLIGHT_TRY(const std::optional<double> value, find_number(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::optional<bool>> JsonView::find_boolean(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) return mistyped(key, *value, "true or false");
  return value->get<bool>();
}

Result<bool> JsonView::boolean(std::string_view key) const {
  PREFLIGHT_TRY(const std::optional<bool> value, find_boolean(key));
  if (!value) return missing(key);
  return *value;
}

Result<std::optional<std::string>> JsonView::find_text(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) return mistyped(key, *value, "a text");
  return value->get_ref<const std::string&>();
}

Result<std::string> JsonView::text(std::string_view key) const {
  PREFLIGHT_TRY(std::optional<std::string> value, find_text(key));
  if (!value) return missing(key);
  return std::move(*value);
}

Result<std::vector<std::string>> JsonView::texts(std::string_view key) const {
  const json* value = find(key);
  if (value == nullptr) return missing(key);
  if (!value->is_array()) return mistyped(key, *value, "a list of texts");
  std::vector<std::string> out;
  for (const json& item : *value) {
    if (!item.is_string()) return mistyped(key, item, "a list of texts");
    out.push_back(item.get_ref<const std::string&>());
  }
  return out;
}

Result<std::vector<std::int32_t>> JsonView::ids(std::string_view key) const {
  std::vector<std::int32_t> out;
  const json* value = find(key);
  if (value == nullptr) return out;
  const auto add = [&out](const json& item) {
    constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
    if (!item.is_number_unsigned() || item.get<std::uint64_t>() > kMost) return false;
    out.push_back(static_cast<std::int32_t>(item.get<std::uint64_t>()));
    return true;
  };
  if (!value->is_array()) {
    if (!add(*value)) return mistyped(key, *value, "a token id or a list of them");
    return out;
  }
  for (const json& item : *value)
    if (!add(item)) return mistyped(key, item, "token ids");
  return out;
}

}  // namespace preflight::model
