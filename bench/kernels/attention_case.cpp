#include "bench/kernels/attention_case.h"

#include <algorithm>

#include "engine/forward/attention_op.h"

namespace preflight::bench {
namespace {

constexpr std::uint32_t kHeads = 16;
constexpr std::uint32_t kWindow = 1024;
constexpr std::uint32_t kRotated = 64;  // pairs of a full layer

}  // namespace

forward::AttentionLayout AttentionCase::layout() const {
  forward::AttentionLayout l;
  l.head_dim = full ? 512 : 256;
  l.n_kv_heads = full ? 1 : 8;
  l.n_rotated = full ? kRotated : l.head_dim / 2;
  l.folded = full;
  l.key_dim = full ? 2 * kRotated : l.head_dim;
  l.q_values = l.key_dim + (full ? l.head_dim : 0);
  l.k_offset = kHeads * l.head_dim;
  l.v_offset = l.k_offset + (full ? 0 : l.n_kv_heads * l.head_dim);
  l.qkv_values = l.v_offset + l.n_kv_heads * l.head_dim;
  return l;
}

reference::AttentionShape AttentionCase::shape() const {
  const auto l = layout();
  return {
      .head_dim = l.head_dim, .key_dim = l.key_dim, .folded = l.folded, .n_rotated = l.n_rotated};
}

params::AttentionParams AttentionCase::attention_params() const {
  const auto l = layout();
  return {.n_heads = kHeads,
          .n_kv_heads = l.n_kv_heads,
          .o_stride_vec4 = kHeads * l.head_dim / 4,
          .window = full ? 0 : kWindow};
}

params::AttentionInputParams AttentionCase::input_params() const {
  const auto l = layout();
  return {.n_heads = kHeads,
          .n_kv_heads = l.n_kv_heads,
          .qkv_stride = l.qkv_values,
          .k_offset = l.k_offset,
          .v_offset = l.v_offset,
          .full = full ? 1u : 0u,
          .epsilon = 1e-6f};
}

std::uint32_t AttentionCase::pages_per_sequence() const {
  const std::uint32_t last = depth_tokens + (decode ? 1 : n_rows);
  return (last + params::kPageTokens - 1) / params::kPageTokens;
}

std::uint32_t AttentionCase::n_pages() const {
  return pages_per_sequence() * (decode ? n_rows : 1);
}

std::uint32_t AttentionCase::position(std::uint32_t row) const {
  return depth_tokens + (decode ? 0 : row);
}

std::uint32_t AttentionCase::visible(std::uint32_t row) const {
  const std::uint32_t all = position(row) + 1;
  return full ? all : std::min(all, kWindow);
}

std::vector<params::RowInfo> AttentionCase::infos() const {
  std::vector<params::RowInfo> infos;
  for (std::uint32_t row = 0; row < n_rows; row++) {
    const std::uint32_t table = decode ? row * pages_per_sequence() : 0;
    infos.push_back({.position = position(row),
                     .last_visible = position(row),
                     .sliding_pages = table,
                     .full_pages = table,
                     .token = 0,
                     .soft_row = params::kNoSoftRow,
                     .tile_first = 0,
                     .tile_rows = 0});
  }
  forward::write_row_tiles(std::span(infos), [&](std::uint32_t row) { return decode ? row : 0; });
  return infos;
}

}  // namespace preflight::bench
