#pragma once

#include <cstdint>
#include <vector>

#include "engine/forward/arena.h"
#include "engine/reference/attention_shape.h"
#include "shaders/params/attention.h"

namespace preflight::bench {

/// Rows of a step that attend to KV pages.
struct AttentionCase {
  bool full = false;   ///< a full layer of the 12B, else a sliding one
  bool decode = true;  ///< each row a sequence of its own, else one sequence's chunk
  std::uint32_t n_rows = 1;
  std::uint32_t depth_tokens = 0;  ///< in the cache before the rows

  /// Head sizes of the 12B's layer kind.
  [[nodiscard]] forward::AttentionLayout layout() const;
  [[nodiscard]] reference::AttentionShape shape() const;
  [[nodiscard]] params::AttentionParams attention_params() const;
  [[nodiscard]] params::AttentionInputParams input_params() const;
  [[nodiscard]] std::uint32_t pages_per_sequence() const;
  [[nodiscard]] std::uint32_t n_pages() const;
  [[nodiscard]] std::uint32_t position(std::uint32_t row) const;
  /// Keys that a row sees.
  [[nodiscard]] std::uint32_t visible(std::uint32_t row) const;
  [[nodiscard]] std::vector<params::RowInfo> infos() const;
};

}  // namespace preflight::bench
