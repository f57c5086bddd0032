#include "engine/forward/attention_op.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "engine/forward/kv_view.h"

namespace preflight::forward {
namespace {

/// Queries of a prefill tile, and of a tuning row that asks for tiles at all.
constexpr std::uint32_t kTileQueries = 16;
/// Rows whose partial results of a full layer are kept at the same time: enough workgroups for a
/// large card at a depth of a thousand tokens.
constexpr std::uint32_t kFullPassRows = 8;

/// Lanes of a tile's workgroup: two for each 4 dimensions of a value.
constexpr std::uint32_t kSmallHeadLanes = 128, kLargeHeadLanes = 256;
constexpr std::uint32_t kLargestHead = 2 * kLargeHeadLanes;
/// Shared memory of a tile of kTileQueries.
constexpr std::uint32_t kTileSharedBytes = 24 << 10;

std::uint32_t tile_lanes(std::uint32_t head_dim) {
  return head_dim <= 2 * kSmallHeadLanes ? kSmallHeadLanes : kLargeHeadLanes;
}

/// Heads of one KV head that a workgroup serves: all, where it has room for them.
std::uint32_t tile_heads(std::uint32_t group) {
  std::uint32_t heads = std::min(group, kTileQueries);
  while (group % heads != 0) heads--;
  return heads;
}

/// Bytes of a generated row's partial results.
std::uint64_t row_partial_bytes(std::uint32_t n_heads, std::uint32_t head_dim,
                                std::uint32_t max_ranges) {
  return std::uint64_t{n_heads} * max_ranges * (4 + head_dim) * sizeof(float);
}

/// Keys that a lane of attention.comp takes at once: a page must keep all lanes busy.
std::uint32_t keys_per_lane(std::uint32_t lanes) {
  return 4 * lanes <= params::kPageTokens ? 4 : 1;
}

Result<RowOp> make_walk(Kernels& kernels, const AttentionLayout& layout,
                        std::span<const vk::Slice> slices, const params::AttentionParams& push,
                        std::uint32_t n_heads, std::uint32_t n_rows) {
  const std::uint32_t lanes = kernels.options().tuning.attention_lanes;
  const KvView view = kv_view(kernels, slices.first(params::kAttentionBindings),
                              params::kAttentionBindKeys, params::kAttentionBindValues);
  const std::uint32_t keys = keys_per_lane(lanes);
  const bool texels = kernels.plane_loads() == PlaneLoads::kTexelsWithAttention &&
                      kernels.options().kv16 && keys == 4;
  std::vector<vk::BindingKind> kinds;
  if (texels) {
    kinds.assign(params::kAttentionBindings, vk::BindingKind::kStorage);
    kinds[params::kAttentionBindQ] = vk::BindingKind::kTexels4;
    kinds[params::kAttentionBindKeys] = vk::BindingKind::kTexels2;
    kinds[params::kAttentionBindValues] = vk::BindingKind::kTexels2;
    kinds.resize(view.n_bindings(), vk::BindingKind::kTexels2);  // the further windows
  }
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline(fmt::format("attention_q{}_k{}{}{}{}{}", n_heads * n_rows, keys,
                                             kernels.kv_suffix(), kernels.act_suffix(), view.suffix,
                                             texels ? "_texels" : ""),
                                 view.n_bindings(), sizeof(params::AttentionParams),
                                 view.constants({lanes, layout.head_dim, layout.key_dim,
                                                 layout.folded ? 1u : 0u, n_heads}),
                                 /*subgroup_size=*/0, kinds));
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, view.slices));
  return RowOp::of(pipeline, bindings, push, push.n_heads / n_heads);
}

Result<AttentionOp::Walk> make_walks(Kernels& kernels, const AttentionLayout& layout,
                                     std::span<const vk::Slice> slices,
                                     const params::AttentionParams& push) {
  const std::uint32_t group = push.n_heads / push.n_kv_heads;  // query heads of one KV head
  const std::uint32_t pair = group % 2 == 0 ? 2 : 1;
  AttentionOp::Walk walk;
  PREFLIGHT_TRY(walk.narrow,
                make_walk(kernels, layout, slices, push, group % 4 == 0 ? 4 : pair, /*n_rows=*/1));
  PREFLIGHT_TRY(walk.wide,
                make_walk(kernels, layout, slices, push, pair, params::kAttentionTileRows));
  return walk;
}

Result<AttentionOp::Tiles> make_tiles(Kernels& kernels, const AttentionLayout& layout,
                                      std::span<const vk::Slice> slices,
                                      const params::AttentionParams& params,
                                      std::uint32_t context_tokens) {
  const std::uint32_t lanes = tile_lanes(layout.head_dim);
  const std::uint32_t heads = tile_heads(params.n_heads / params.n_kv_heads);
  const KvView view =
      kv_view(kernels, slices, params::kAttentionBindKeys, params::kAttentionBindValues);
  const auto tile = [&](std::uint32_t queries, bool split) {
    return kernels.pipeline(fmt::format("attention_tile_q{}_l{}{}{}{}", queries, lanes,
                                        kernels.kv_suffix(), kernels.act_suffix(), view.suffix),
                            view.n_bindings(), sizeof(params::AttentionTileParams),
                            view.constants({lanes, layout.head_dim, layout.key_dim,
                                            layout.folded ? 1u : 0u, heads, split ? 1u : 0u}));
  };
  AttentionOp::Tiles tiles;
  PREFLIGHT_TRY(tiles.prefill, tile(kTileQueries, /*split=*/false));
  // Few heads take a narrow tile, but no lane goes without a key of its own.
  const std::uint32_t split_queries =
      heads > 4 ? kTileQueries : std::max(std::bit_ceil(heads), lanes / params::kPageTokens);
  PREFLIGHT_TRY(tiles.split, tile(split_queries, /*split=*/true));
  PREFLIGHT_TRY(tiles.merge,
                kernels.pipeline("attention_merge" + kernels.act_suffix(), view.n_bindings(),
                                 sizeof(params::AttentionTileParams),
                                 {params::kPageTokens, layout.head_dim}));
  PREFLIGHT_TRY(tiles.bindings, kernels.bind(*tiles.prefill, view.slices));

  const std::uint32_t max_ranges = max_key_ranges(params.window, context_tokens);
  tiles.params = {.n_heads = params.n_heads,
                  .n_kv_heads = params.n_kv_heads,
                  .o_stride_vec4 = params.o_stride_vec4,
                  .window = params.window,
                  .n_rows = 0,
                  .first_row = 0,
                  .max_ranges = max_ranges};
  tiles.rows_per_tile = kTileQueries / heads;
  tiles.head_groups = params.n_heads / heads;
  const std::uint64_t room = slices[params::kAttentionBindPartials].size_bytes;
  tiles.rows_per_pass = static_cast<std::uint32_t>(std::min<std::uint64_t>(
      kNarrowRows, room / row_partial_bytes(params.n_heads, layout.head_dim, max_ranges)));
  if (tiles.rows_per_pass == 0)
    return fail(ErrorCode::kUnsupported,
                fmt::format("attention of {} heads over {} key ranges needs more than the {} bytes "
                            "of partial results that were planned",
                            params.n_heads, max_ranges, room));
  return tiles;
}

void record_prefill(const AttentionOp::Tiles& tiles, vk::CommandList& list, std::uint32_t n_rows) {
  params::AttentionTileParams params = tiles.params;
  params.n_rows = n_rows;
  list.dispatch(*tiles.prefill, *tiles.bindings, vk::push_bytes(params),
                (n_rows + tiles.rows_per_tile - 1) / tiles.rows_per_tile, tiles.head_groups);
}

void record_generate(const AttentionOp::Tiles& tiles, vk::CommandList& list, std::uint32_t n_rows) {
  params::AttentionTileParams params = tiles.params;
  params.n_rows = n_rows;
  for (std::uint32_t first = 0; first < n_rows; first += tiles.rows_per_pass) {
    const std::uint32_t n = std::min(tiles.rows_per_pass, n_rows - first);
    params.first_row = first;
    if (first > 0) list.barrier();  // the last pass has been merged
    list.dispatch(*tiles.split, *tiles.bindings, vk::push_bytes(params), params.max_ranges,
                  tiles.head_groups, n);
    list.barrier();
    list.dispatch(*tiles.merge, *tiles.bindings, vk::push_bytes(params), n, params.n_heads);
  }
}

}  // namespace

std::uint32_t max_key_ranges(std::uint32_t window, std::uint32_t context_tokens) {
  const std::uint32_t last_page = std::max(context_tokens, 1u) - 1;
  const std::uint32_t page = last_page / params::kPageTokens;
  if (window != 0)  // as many pages as a window can touch
    return std::min(page, (window + params::kPageTokens - 2) / params::kPageTokens) + 1;
  if (page < params::kPageRanges) return page + 1;
  const auto doubling = static_cast<std::uint32_t>(std::bit_width(page / params::kPageRanges)) - 1;
  return params::kPageRanges + params::kDoublingRanges * doubling + (page >> (doubling + 1)) -
         params::kDoublingRanges + 1;
}

std::uint64_t attention_partial_bytes(const ArenaPlan& plan, const model::ModelConfig& config) {
  const auto bytes = [&](const AttentionLayout& layout, std::uint32_t window, std::uint32_t rows) {
    return rows * row_partial_bytes(config.n_heads, layout.head_dim,
                                    max_key_ranges(window, plan.context_tokens));
  };
  return std::max(bytes(plan.sliding, config.sliding_window, kNarrowRows),
                  bytes(plan.full, /*window=*/0, kFullPassRows));
}

bool uses_attention_tiles(const Tuning& tuning) { return tuning.attention_queries >= kTileQueries; }

void AttentionOp::record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const {
  if (const auto* walk = std::get_if<Walk>(&op_)) {
    (n_rows <= kNarrowRows ? walk->narrow : walk->wide).record(list, n_rows);
    return;
  }
  const auto& tiles = std::get<Tiles>(op_);
  (phase == Phase::kPrefill ? record_prefill : record_generate)(tiles, list, n_rows);
}

Result<AttentionOp> make_attention(Kernels& kernels, const AttentionLayout& layout,
                                   std::span<const vk::Slice> slices,
                                   const params::AttentionParams& params,
                                   std::uint32_t context_tokens) {
  PREFLIGHT_ASSERT(slices.size() == params::kAttentionTileBindings);
  if (uses_attention_tiles(kernels.options().tuning) && layout.head_dim <= kLargestHead &&
      kernels.device().max_shared_bytes >= kTileSharedBytes) {
    PREFLIGHT_TRY(AttentionOp::Tiles tiles,
                  make_tiles(kernels, layout, slices, params, context_tokens));
    return AttentionOp(tiles);
  }
  PREFLIGHT_TRY(AttentionOp::Walk walk, make_walks(kernels, layout, slices, params));
  return AttentionOp(walk);
}

}  // namespace preflight::forward
