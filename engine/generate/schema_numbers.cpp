#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "engine/generate/schema.h"

namespace preflight::generate {
namespace {

using Json = nlohmann::ordered_json;

// Every reader of JSON keeps integers of this size exactly, and decimals of 15 digits apart.
constexpr std::int64_t kLargestInteger = (std::int64_t{1} << 53) - 1;
constexpr std::int64_t kLargestDecimal = 999'999'999'999'999;
constexpr int kDefaultDecimals = 6;
constexpr int kMostDecimals = 9;

// A number of JSON as sign * digits * 10^exponent.
struct Decimal {
  bool negative = false;
  std::string digits;
  int exponent = 0;
};

Decimal decimal_of(const Json& number) {
  const std::string text = number.dump();  // the digits that read back to the same number
  Decimal decimal;
  bool after_point = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '-') {
      decimal.negative = true;
    } else if (c == '.') {
      after_point = true;
    } else if (c == 'e' || c == 'E') {
      int exponent = 0;
      const std::size_t begin = i + (text[i + 1] == '+' ? 2 : 1);
      std::from_chars(text.data() + begin, text.data() + text.size(), exponent);
      decimal.exponent += exponent;
      break;
    } else {
      decimal.digits.push_back(c);
      if (after_point) --decimal.exponent;
    }
  }
  return decimal;
}

struct Units {
  std::int64_t floor = 0;  // the largest integer that is not above
  bool exact = false;      // and it is the number itself
};

// The number in units of 10^-decimals; nothing if it passes 10^16.
std::optional<Units> in_units(const Json& number, int decimals) {
  constexpr std::int64_t kMost = 10'000'000'000'000'000;
  const Decimal decimal = decimal_of(number);
  const int shift = decimal.exponent + decimals;
  // Digits from the left up to the place of the units; what is behind them only rounds.
  std::int64_t whole = 0;
  bool rest = false;
  const auto n_digits = static_cast<int>(decimal.digits.size());
  const bool is_zero = decimal.digits.find_first_not_of('0') == std::string::npos;
  if (is_zero) return Units{.floor = 0, .exact = true};
  for (int i = 0; i < n_digits + std::max(shift, 0); ++i) {
    const int digit = i < n_digits ? decimal.digits[static_cast<std::size_t>(i)] - '0' : 0;
    if (i < n_digits + shift) {
      whole = whole * 10 + digit;
      if (whole > kMost) return std::nullopt;
    } else if (digit != 0) {
      rest = true;
    }
  }
  Units units{.floor = decimal.negative ? -whole : whole, .exact = !rest};
  if (decimal.negative && rest) --units.floor;
  return units;
}

// The number of decimals that "multipleOf" asks for: it must be 1, 0.1, 0.01, ...
Result<std::optional<int>> read_decimals(const Json& schema, bool integer,
                                         const std::string& pointer) {
  const auto found = schema.find("multipleOf");
  if (found == schema.end()) return std::optional<int>();
  if (found->is_number() && std::isfinite(found->get<double>())) {
    for (int decimals = 0; decimals <= (integer ? 0 : kMostDecimals); ++decimals) {
      const auto units = in_units(*found, decimals);
      if (units && units->exact && units->floor == 1) return std::optional(decimals);
    }
  }
  return refuse(
      ErrorCode::kUnsupported, pointer + "/multipleOf",
      fmt::format("expected {}", integer ? "1 for an integer"
                                         : "1, 0.1, 0.01 or a smaller power of ten down to 1e-9"));
}

// One end of the range. Nothing if it does not fit the digits.
std::optional<std::int64_t> read_end(const Json& schema, const char* inclusive,
                                     const char* exclusive, int decimals, bool low,
                                     std::int64_t fallback) {
  std::optional<std::int64_t> end;
  const auto tighten = [&](std::int64_t value) {
    if (!end || (low ? value > *end : value < *end)) end = value;
  };
  if (const auto found = schema.find(inclusive); found != schema.end()) {
    const auto units = in_units(*found, decimals);
    if (!units) return std::nullopt;
    tighten(low && !units->exact ? units->floor + 1 : units->floor);
  }
  if (const auto found = schema.find(exclusive); found != schema.end()) {
    const auto units = in_units(*found, decimals);
    if (!units) return std::nullopt;
    if (low) {
      tighten(units->floor + 1);
    } else {
      tighten(units->exact ? units->floor - 1 : units->floor);
    }
  }
  return end.value_or(fallback);
}

}  // namespace

Result<NumberRange> read_number_range(const Json& schema, bool integer,
                                      const std::string& pointer) {
  for (const char* name : {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"}) {
    const auto found = schema.find(name);
    if (found == schema.end()) continue;
    if (!found->is_number() || !std::isfinite(found->get<double>())) {
      return refuse(ErrorCode::kInvalidInput, pointer + "/" + name,
                    fmt::format("is of type {}, expected a finite number", found->type_name()));
    }
  }
  PREFLIGHT_TRY(const auto asked, read_decimals(schema, integer, pointer));
  const std::int64_t largest = integer ? kLargestInteger : kLargestDecimal;
  // Without "multipleOf" a wide range is given fewer decimals, so that 15 digits are enough.
  const int most = asked.value_or(integer ? 0 : kDefaultDecimals);
  const int least = asked.value_or(0);
  for (int decimals = most; decimals >= least; --decimals) {
    const auto low =
        read_end(schema, "minimum", "exclusiveMinimum", decimals, /*low=*/true, -largest);
    const auto high =
        read_end(schema, "maximum", "exclusiveMaximum", decimals, /*low=*/false, largest);
    if (!low || !high || *low < -largest || *high > largest || *low > largest || *high < -largest) {
      continue;
    }
    if (*low > *high) {
      return refuse(ErrorCode::kInvalidInput, pointer,
                    fmt::format("no {} lies between its limits",
                                integer ? std::string("integer")
                                        : fmt::format("number with {} decimals", decimals)));
    }
    return NumberRange{.low = *low, .high = *high, .decimals = static_cast<std::uint8_t>(decimals)};
  }
  return refuse(ErrorCode::kUnsupported, pointer,
                integer ? std::string("limits of an integer must lie within +-9007199254740991")
                        : std::string("limits and decimals of a number must fit 15 digits"));
}

}  // namespace preflight::generate
