#include "engine/generate/number_range.h"

#include <algorithm>
#include <string_view>

namespace preflight::generate {
namespace {

using Part = NumberState::Part;

std::uint64_t power_of_ten(unsigned exponent) {
  std::uint64_t power = 1;
  for (unsigned i = 0; i < exponent; ++i) power *= 10;
  return power;
}

// The sizes of the numbers of one sign, in units; empty if low > high.
struct Sizes {
  std::uint64_t low = 1;
  std::uint64_t high = 0;
};

Sizes sizes(const NumberRange& range, bool negative) {
  if (negative) {
    if (range.low >= 0) return {};
    const std::int64_t nearest = std::min<std::int64_t>(range.high, -1);  // "-0" is not written
    return {static_cast<std::uint64_t>(-nearest), static_cast<std::uint64_t>(-range.low)};
  }
  if (range.high < 0) return {};
  return {static_cast<std::uint64_t>(std::max<std::int64_t>(range.low, 0)),
          static_cast<std::uint64_t>(range.high)};
}

bool overlaps(const Sizes& wanted, std::uint64_t low, std::uint64_t high) {
  return std::max(wanted.low, low) <= std::min(wanted.high, high);
}

// Whether some way to go on from `state` ends in a number of the range. Magnitudes stay below
// 10^17 and one more factor of ten fits 64 bits.
bool is_alive(const NumberRange& range, const NumberState& state) {
  const Sizes wanted = sizes(range, state.negative);
  if (wanted.low > wanted.high) return false;
  switch (state.part) {
    case Part::kStart:
    case Part::kSign:
      return true;
    case Part::kZero:
      return overlaps(wanted, 0, power_of_ten(range.decimals) - 1);
    case Part::kInteger: {
      std::uint64_t width = power_of_ten(range.decimals);
      // Beyond the largest size already without the decimals: multiplying could overflow.
      if (state.magnitude > wanted.high / width) return false;
      for (std::uint64_t low = state.magnitude * width; low <= wanted.high;
           low *= 10, width *= 10) {
        if (overlaps(wanted, low, low + width - 1)) return true;
      }
      return false;
    }
    case Part::kPoint:
    case Part::kFraction: {
      const std::uint64_t width =
          power_of_ten(static_cast<unsigned>(range.decimals - state.decimals));
      const std::uint64_t low = state.magnitude * width;
      // After a zero at the end another digit than 0 must follow.
      return overlaps(wanted, low + (state.part == Part::kPoint ? 1 : 0), low + width - 1);
    }
  }
  return false;
}

bool move(const NumberRange& range, NumberState& state, std::uint8_t byte) {
  if (byte == '-') {
    if (state.part != Part::kStart) return false;
    state.part = Part::kSign;
    state.negative = true;
    return true;
  }
  if (byte == '.') {
    if (range.decimals == 0) return false;
    if (state.part != Part::kZero && state.part != Part::kInteger) return false;
    state.part = Part::kPoint;
    return true;
  }
  if (byte < '0' || byte > '9') return false;
  const unsigned digit = byte - static_cast<unsigned>('0');
  switch (state.part) {
    case Part::kStart:
    case Part::kSign:
      state.part = digit == 0 ? Part::kZero : Part::kInteger;
      break;
    case Part::kZero:
      return false;
    case Part::kInteger:
      break;
    case Part::kPoint:
    case Part::kFraction:
      if (state.decimals == range.decimals) return false;
      ++state.decimals;
      state.part = digit == 0 ? Part::kPoint : Part::kFraction;
      break;
  }
  state.magnitude = state.magnitude * 10 + digit;
  return true;
}

}  // namespace

bool step_number(const NumberRange& range, NumberState& state, std::uint8_t byte) {
  NumberState next = state;
  if (!move(range, next, byte) || !is_alive(range, next)) return false;
  state = next;
  return true;
}

bool is_number(const NumberRange& range, const NumberState& state) {
  if (state.part != Part::kZero && state.part != Part::kInteger && state.part != Part::kFraction) {
    return false;
  }
  const std::uint64_t units =
      state.magnitude * power_of_ten(static_cast<unsigned>(range.decimals - state.decimals));
  return overlaps(sizes(range, state.negative), units, units);
}

bool can_continue(const NumberRange& range, const NumberState& state) {
  constexpr std::string_view kBytes = "0123456789.-";
  return std::any_of(kBytes.begin(), kBytes.end(), [&](char c) {
    NumberState next = state;
    return step_number(range, next, static_cast<std::uint8_t>(c));
  });
}

std::size_t longest_number_chars(const NumberRange& range) {
  const std::uint64_t largest = std::max(sizes(range, true).high, sizes(range, false).high);
  std::size_t chars = range.low < 0 ? 1 : 0;
  std::uint64_t integer = largest / power_of_ten(range.decimals);
  do {
    ++chars;
    integer /= 10;
  } while (integer != 0);
  return chars + (range.decimals > 0 ? 1u + range.decimals : 0u);
}

}  // namespace preflight::generate
