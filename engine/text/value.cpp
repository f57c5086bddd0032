#include "engine/text/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "engine/text/value_builder.h"

namespace preflight::text {
namespace {

/// Of members with the same key the first place and the last value stay.
void drop_repeated_keys(Value& object) {
  std::unordered_map<std::string, std::size_t> place;
  std::size_t n_kept = 0;
  for (std::size_t i = 0; i < object.keys.size(); ++i) {
    const auto [known, fresh] = place.try_emplace(object.keys[i], n_kept);
    if (known->second != i) object.items[known->second] = std::move(object.items[i]);
    if (!fresh) continue;
    if (n_kept != i) object.keys[n_kept] = std::move(object.keys[i]);
    ++n_kept;
  }
  object.keys.resize(n_kept);
  object.items.resize(n_kept);
}

}  // namespace

bool ValueBuilder::null() { return add(Value{}); }

bool ValueBuilder::boolean(bool value) {
  Value out;
  out.kind = Value::Kind::kBoolean;
  out.boolean = value;
  return add(std::move(out));
}

bool ValueBuilder::number_integer(number_integer_t value) {
  return add_number(fmt::to_string(value));
}

bool ValueBuilder::number_unsigned(number_unsigned_t value) {
  return add_number(fmt::to_string(value));
}

bool ValueBuilder::number_float(number_float_t value, const string_t& source) {
  const bool big_integer = source.find_first_of(".eE") == string_t::npos;
  return add_number(big_integer ? source : float_text(value));
}

bool ValueBuilder::string(string_t& value) {
  Value out;
  out.kind = Value::Kind::kString;
  out.text = std::move(value);
  return add(std::move(out));
}

bool ValueBuilder::binary(binary_t& /*value*/) { return fail("holds binary data"); }

bool ValueBuilder::start_object(std::size_t /*elements*/) { return open(Value::Kind::kObject); }

bool ValueBuilder::key(string_t& value) {
  open_.back().keys.push_back(std::move(value));
  return true;
}

bool ValueBuilder::end_object() {
  drop_repeated_keys(open_.back());
  return close();
}

bool ValueBuilder::start_array(std::size_t /*elements*/) { return open(Value::Kind::kArray); }

bool ValueBuilder::end_array() { return close(); }

bool ValueBuilder::parse_error(std::size_t position, const std::string& /*token*/,
                               const nlohmann::detail::exception& /*error*/) {
  return fail(fmt::format("is not valid JSON at byte {}", position));
}

bool ValueBuilder::fail(std::string fault) {
  fault_ = std::move(fault);
  return false;
}

bool ValueBuilder::open(Value::Kind kind) {
  if (open_.size() >= kMaxDepth) {
    return fail(fmt::format("is nested deeper than {} levels", kMaxDepth));
  }
  open_.emplace_back().kind = kind;
  return true;
}

bool ValueBuilder::close() {
  Value done = std::move(open_.back());
  open_.pop_back();
  return add(std::move(done));
}

bool ValueBuilder::add_number(std::string text) {
  Value out;
  out.kind = Value::Kind::kNumber;
  out.text = std::move(text);
  return add(std::move(out));
}

bool ValueBuilder::add(Value value) {
  if (open_.empty()) {
    root_ = std::move(value);
  } else {
    open_.back().items.push_back(std::move(value));
  }
  return true;
}

Value Value::string(std::string_view text) {
  Value out;
  out.kind = Kind::kString;
  out.text = text;
  return out;
}

bool Value::is_truthy() const {
  switch (kind) {
    case Kind::kNull:
      return false;
    case Kind::kBoolean:
      return boolean;
    case Kind::kNumber:
      return text != "0" && text != "0.0" && text != "-0.0";
    case Kind::kString:
      return !text.empty();
    case Kind::kArray:
    case Kind::kObject:
      break;
  }
  return !items.empty();
}

const Value* Value::find(std::string_view key) const {
  const auto at = std::find(keys.begin(), keys.end(), key);
  return at == keys.end() ? nullptr : &items[static_cast<std::size_t>(at - keys.begin())];
}

Value* Value::find(std::string_view key) {
  const auto at = std::find(keys.begin(), keys.end(), key);
  return at == keys.end() ? nullptr : &items[static_cast<std::size_t>(at - keys.begin())];
}

void Value::set(std::string_view key, Value value) {
  if (Value* known = find(key)) {
    *known = std::move(value);
    return;
  }
  kind = Kind::kObject;
  keys.emplace_back(key);
  items.push_back(std::move(value));
}

std::string_view kind_name(Value::Kind kind) {
  switch (kind) {
    case Value::Kind::kNull:
      return "null";
    case Value::Kind::kBoolean:
      return "true or false";
    case Value::Kind::kNumber:
      return "a number";
    case Value::Kind::kString:
      return "a string";
    case Value::Kind::kArray:
      return "a list";
    case Value::Kind::kObject:
      break;
  }
  return "an object";
}

Result<Value> parse_value(std::string_view json, std::string_view what) {
  ValueBuilder builder;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &builder)) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} {}", what, builder.fault()));
  }
  return builder.take();
}

std::string float_text(double number) {
  std::array<char, 40> buffer{};
  const auto written = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number,
                                     std::chars_format::scientific);
  std::string_view form(buffer.data(), static_cast<std::size_t>(written.ptr - buffer.data()));
  std::string out;
  if (form.front() == '-') {
    out.push_back('-');
    form.remove_prefix(1);
  }
  const std::size_t e = form.find('e');
  if (e == std::string_view::npos) return out + std::string(form);  // inf, nan
  const int exponent = std::atoi(std::string(form.substr(e + 1)).c_str());
  std::string digits(form.substr(0, e));
  std::erase(digits, '.');
  if (exponent < -4 || exponent >= 16) {
    out += digits.substr(0, 1);
    if (digits.size() > 1) out += "." + digits.substr(1);
    return out + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0)
    return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
  const std::size_t n_whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= n_whole) {
    return out + digits + std::string(n_whole - digits.size(), '0') + ".0";
  }
  return out + digits.substr(0, n_whole) + "." + digits.substr(n_whole);
}

}  // namespace preflight::text
