// Prices, percentages, dates and durations as they stand in texts, read as values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace preflight::review {

enum class ValueKind { kMoney, kPercent, kDate, kDuration };

std::string_view to_string(ValueKind kind);

struct Value {
  ValueKind kind = ValueKind::kMoney;
  /// Money in hundredths, a percentage in hundredths of a point, a duration in seconds, a date as
  /// month * 100 + day.
  std::int64_t amount = 0;
  int year = 0;          ///< of a date; 0: not said
  std::string currency;  ///< "GBP"; empty: not said
  std::string unit;   ///< of a duration: "second", "minute", "hour", "day", "week", "month", "year"
  std::string quote;  ///< as written
  std::size_t line = 0;   ///< from 1
  std::size_t begin = 0;  ///< byte offset in the text
};

/// All values of a text, in order. `locale` (BCP 47) decides whether 1.299 is a thousand and
/// whether 3/4 is in March or in April; `currency` is what a bare "$" or "pounds" may mean.
/// Numbers in words are not read.
std::vector<Value> read_values(std::string_view text, std::string_view locale,
                               std::string_view currency);

/// The same kind and the same value; what one of them leaves open (currency, year) agrees.
bool agree(const Value& a, const Value& b);
/// Both could be about the same thing: same kind; money in the same currency, durations in the
/// same unit.
bool comparable(const Value& a, const Value& b);

}  // namespace preflight::review
