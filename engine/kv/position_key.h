#pragma once

#include <cstdint>

namespace preflight::kv {

/// Tells media apart: equal keys stand for equal soft tokens. Half of a SHA-256, say, over all that
/// the soft tokens are made of (pixels and budget, samples); zero: not known.
struct MediumKey {
  std::uint64_t high = 0, low = 0;
  bool operator==(const MediumKey&) const = default;
};

inline constexpr std::uint32_t kUnknownSoftToken = 0xffffffffu;

/// What stands at a position, as far as it decides what the KV cache holds from there on.
struct PositionKey {
  MediumKey medium{};       ///< of a soft token; zero for a token
  std::uint32_t index = 0;  ///< the token's id, or which soft token of its medium
  std::uint32_t reach = 0;  ///< later positions of its vision block, all of which it sees
  bool operator==(const PositionKey&) const = default;

  /// A soft token of a medium without a key: equal to nothing, itself included.
  [[nodiscard]] bool unknown() const { return medium == MediumKey{} && index == kUnknownSoftToken; }
};

}  // namespace preflight::kv
