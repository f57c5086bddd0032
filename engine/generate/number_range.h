#pragma once

#include <cstddef>
#include <cstdint>

namespace preflight::generate {

/// The numbers an answer may give: all multiples of 10^-decimals from `low` to `high`, written the
/// one canonical way: no exponent, no leading zero, no zero at the end of a fraction, no "-0".
/// Both limits are in units of 10^-decimals and at most 10^16 in size.
struct NumberRange {
  std::int64_t low = 0;
  std::int64_t high = 0;
  std::uint8_t decimals = 0;
};

/// How far a number is written. Only states are reached from which some number inside the range
/// can still be completed.
struct NumberState {
  enum class Part : std::uint8_t {
    kStart,
    kSign,      ///< "-"
    kZero,      ///< an integer part that is 0: only a point may follow
    kInteger,   ///< digits of an integer part, not beginning with 0
    kPoint,     ///< the point, or a fraction that ends in 0: a digit must follow
    kFraction,  ///< a fraction that ends in another digit
  };
  Part part = Part::kStart;
  bool negative = false;
  std::uint8_t decimals = 0;    ///< digits after the point
  std::uint64_t magnitude = 0;  ///< all digits as one integer
};

/// Moves over one byte; false, and no change, if it cannot go on to a number of the range.
bool step_number(const NumberRange& range, NumberState& state, std::uint8_t byte);

/// What is written is a number of the range.
bool is_number(const NumberRange& range, const NumberState& state);

/// Some byte may follow inside the number.
bool can_continue(const NumberRange& range, const NumberState& state);

/// An upper bound of the characters of any number of the range.
std::size_t longest_number_chars(const NumberRange& range);

}  // namespace preflight::generate
