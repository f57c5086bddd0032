#pragma once

#include <cstdint>
#include <span>

#include "engine/forward/arena.h"
#include "engine/forward/kernels.h"
#include "shaders/params/attention.h"
#include "shaders/params/step.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// Steps of at most this many rows are narrow: decode, drafts, forced text.
inline constexpr std::uint32_t kNarrowRows = 32;

/// Attention of a layer. In a wide step a workgroup serves neighbouring rows of a sequence, in a
/// narrow one several heads of one row; the results are the same to the bit.
struct AttentionOp {
  RowOp narrow, wide;

  void record(vk::CommandList& list, std::uint32_t n_rows) const {
    (n_rows <= kNarrowRows ? narrow : wide).record(list, n_rows);
  }
};

/// `slices` in the order of kAttentionBind*.
[[nodiscard]] Result<AttentionOp> make_attention(Kernels& kernels, const AttentionLayout& layout,
                                                 std::span<const vk::Slice> slices,
                                                 const params::AttentionParams& params);

/// Writes the row tiles that AttentionOp expects into the infos of a step's rows: row tile t in
/// infos[t]. `sequence_of(row)` tells which rows stand together.
template <class SequenceOf>
void write_row_tiles(std::span<params::RowInfo> infos, const SequenceOf& sequence_of) {
  const auto n_rows = static_cast<std::uint32_t>(infos.size());
  const std::uint32_t most = n_rows <= kNarrowRows ? 1 : params::kAttentionTileRows;
  std::uint32_t n_tiles = 0;
  for (std::uint32_t row = 0; row < n_rows;) {
    std::uint32_t n = 1;
    while (n < most && row + n < n_rows && sequence_of(row + n) == sequence_of(row)) n++;
    infos[n_tiles].tile_first = row;
    infos[n_tiles].tile_rows = n;
    n_tiles++;
    row += n;
  }
  for (; n_tiles < n_rows; n_tiles++) infos[n_tiles].tile_rows = 0;
}

}  // namespace preflight::forward
