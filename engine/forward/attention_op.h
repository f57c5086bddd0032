#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <variant>

#include "engine/forward/arena.h"
#include "engine/forward/kernels.h"
#include "engine/forward/step.h"
#include "shaders/params/attention.h"
#include "shaders/params/step.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// attention.comp serves one row a workgroup in steps of at most this many rows; on tiles, rows of
/// a generation step whose partial results are kept at the same time.
inline constexpr std::uint32_t kNarrowRows = 32;

/// Attention of a layer. Prefill and generation may add in different orders; within a phase a row's
/// result is the same to the bit in any company.
class AttentionOp {
 public:
  /// attention.comp: every workgroup walks all keys of its few queries. For CPU devices, and for
  /// heads that the tiles do not hold. In a wide step a workgroup serves neighbouring rows of a
  /// sequence, in a narrow one several heads of one row; the results are the same to the bit.
  struct Walk {
    RowOp narrow, wide;
  };
  /// attention_tile.comp and attention_merge.comp.
  struct Tiles {
    const vk::Pipeline* prefill = nullptr;
    const vk::Pipeline* split = nullptr;
    const vk::Pipeline* merge = nullptr;
    const vk::BindingSet* bindings = nullptr;
    params::AttentionTileParams params{};
    std::uint32_t rows_per_tile = 0;  ///< of a prefill workgroup
    std::uint32_t head_groups = 0;    ///< workgroups that share a row's heads
    std::uint32_t rows_per_pass = 0;  ///< generated rows that the partial results have room for
  };

  AttentionOp() = default;
  explicit AttentionOp(std::variant<Walk, Tiles> op) : op_(std::move(op)) {}

  void record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const;

 private:
  std::variant<Walk, Tiles> op_;
};

/// Whether the device's row asks for tiles, and partial results have to be kept.
[[nodiscard]] bool uses_attention_tiles(const Tuning& tuning);

/// `slices` in the order of kAttentionBind*, the partial results last; `context_tokens` is the
/// longest sequence. Errors: kUnsupported (more heads than the partial results have room for).
[[nodiscard]] Result<AttentionOp> make_attention(Kernels& kernels, const AttentionLayout& layout,
                                                 std::span<const vk::Slice> slices,
                                                 const params::AttentionParams& params,
                                                 std::uint32_t context_tokens);

/// Most key ranges of a row (shaders/params/attention.h); `window` is 0 on full layers.
[[nodiscard]] std::uint32_t max_key_ranges(std::uint32_t window, std::uint32_t context_tokens);

/// Bytes of the partial results that make a generation step of the model's layers one pass or a
/// few.
[[nodiscard]] std::uint64_t attention_partial_bytes(const ArenaPlan& plan,
                                                    const model::ModelConfig& config);

/// Writes the row tiles that attention.comp expects into the infos of a step's rows: row tile t in
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
