#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace preflight::generate {

/// Arrays inside arrays that a schema may have.
inline constexpr std::size_t kMaxArrayDepth = 8;

/// A position in an answer's text, bytes read so far. Plain data: copied at every node of a walk.
struct Cursor {
  std::uint32_t pc = 0;        ///< instruction
  std::uint32_t at = 0;        ///< kText: byte; kChoice: trie node; kString: characters so far;
                               ///< kNumber: decimals so far
  std::uint64_t magnitude = 0;  ///< kNumber: the digits so far as one integer
  std::uint32_t tokens = 0;    ///< kString: tokens that ended inside this string
  std::uint8_t mode = 0;       ///< kString: part of a character or escape; kNumber: part of a number
  bool fresh = false;          ///< kString: entered by the token that is being read
  std::array<std::uint16_t, kMaxArrayDepth> items{};  ///< items finished, for each open array

  bool operator==(const Cursor&) const = default;
};

}  // namespace preflight::generate
