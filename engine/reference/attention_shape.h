#pragma once

#include <cstddef>
#include <cstdint>

#include "shaders/params/attention.h"

namespace preflight::reference {

/// The specialization constants of the attention shaders (shaders/params/attention.h).
struct AttentionShape {
  std::uint32_t head_dim = 0;
  std::uint32_t key_dim = 0;    ///< values of the key plane per position and KV head
  bool folded = false;          ///< key dimensions that do not rotate are values times k_norm
  std::uint32_t n_rotated = 0;  ///< pairs

  /// Values of one query head.
  [[nodiscard]] std::uint32_t q_values() const { return key_dim + (folded ? head_dim : 0); }
};

/// Where a position's row of a KV plane [page, kv_head, kPageTokens, dim] begins.
[[nodiscard]] constexpr std::size_t kv_row(std::size_t page, std::size_t n_kv_heads,
                                           std::size_t kv_head, std::size_t slot, std::size_t dim) {
  return ((page * n_kv_heads + kv_head) * params::kPageTokens + slot) * dim;
}

}  // namespace preflight::reference
