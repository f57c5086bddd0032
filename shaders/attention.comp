#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Attention over the pages of a sequence, with a running softmax.
//
//   o[t,h] = sum_j softmax_j(q[t,h] . k[j]) v[j]     over the keys j that row t sees:
//   full     j <= position
//   sliding  position - window < j <= last_visible   (a vision block looks ahead to its end)
//
// Score scale is 1. A workgroup serves QUERIES queries at once: kHeads heads of one KV head for each
// of QUERIES / kHeads neighbouring rows of a sequence, so that a key or value is read once for all
// of them. Key tiles are pages and begin at multiples of kPageTokens from position 0; a key that a
// query does not see has weight 0. A query's sums are therefore the same, to the bit, in any tile of
// queries and in any chunk.
//
// in    q     f32 [rows, n_heads, key_dim (+ head_dim where folded)]
// out   o     f32, or f16 with -D ACT16, [rows, n_heads * head_dim]
// grid        (rows, n_heads / kHeads, 1): the x-th row tile; tiles without rows do nothing
// twin        engine/reference/attention.h
#include "shaders/params/attention.h"

layout(constant_id = kAttentionSpecLanes) const uint kWorkgroup = 8;
layout(constant_id = kAttentionSpecHeadDim) const uint kHeadDim = 256;
layout(constant_id = kAttentionSpecKeyDim) const uint kKeyDim = 256;
layout(constant_id = kAttentionSpecFolded) const uint kFolded = 0;
layout(constant_id = kAttentionSpecHeads) const uint kHeads = 1;
layout(local_size_x_id = kAttentionSpecLanes) in;

#include "include/activation.glsl"

#define KV_KEYS kAttentionBindKeys
#define KV_VALUES kAttentionBindValues
#define KV_BINDINGS kAttentionBindings
#include "include/kv_planes.glsl"

PLANE(kAttentionBindQ, Q, vec4, q);
layout(set = 0, binding = kAttentionBindRowInfo) readonly buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kAttentionBindPageTable) readonly buffer Tables { uint page_tables[]; };
layout(set = 0, binding = kAttentionBindO) writeonly buffer O { ACTIVATION o[]; };
layout(push_constant) uniform Push { AttentionParams p; };

const uint kKeyQuads = kKeyDim / 4;
const uint kValueQuads = kHeadDim / 4;
const float kNothing = -3.0e38;  // the score of a key that is not seen; below every real one

shared float score[QUERIES][kPageTokens];
shared vec4 weight[QUERIES][kPageTokens / 4];
shared vec4 accumulator[QUERIES][kValueQuads];

// Scores of KEYS keys of the tile, kWorkgroup apart from `first` on, for all queries.
void score_keys(const uint q_at[QUERIES], const uint page, const uint kv_head, const uint first,
                const uint begin[QUERIES], const uint end[QUERIES]) {
  uint key_at[KEYS];
  uint value_at[KEYS];
  precise float sum[QUERIES][KEYS];
  [[unroll]] for (uint k = 0; k < KEYS; k++) {
    const uint slot = min(first + k * kWorkgroup, kPageTokens - 1);
    key_at[k] = kv_row(page, p.n_kv_heads, kv_head, slot, kKeyDim);
    value_at[k] = kv_row(page, p.n_kv_heads, kv_head, slot, kHeadDim);
    [[unroll]] for (uint n = 0; n < QUERIES; n++) sum[n][k] = 0.0;
  }

  for (uint i = 0; i < kKeyQuads; i++) {
    vec4 key[KEYS];
    [[unroll]] for (uint k = 0; k < KEYS; k++) key[k] = kv_values(load_key(key_at[k] + i));
    [[unroll]] for (uint n = 0; n < QUERIES; n++) {
      const vec4 query = AT_VEC4(q, q_at[n] + i);
      [[unroll]] for (uint k = 0; k < KEYS; k++)
        [[unroll]] for (uint c = 0; c < 4; c++) sum[n][k] = fma(query[c], key[k][c], sum[n][k]);
    }
  }
  if (kFolded == 1) {
    for (uint i = 0; i < kValueQuads; i++) {
      vec4 key[KEYS];
      [[unroll]] for (uint k = 0; k < KEYS; k++) key[k] = kv_values(load_value(value_at[k] + i));
      [[unroll]] for (uint n = 0; n < QUERIES; n++) {
        const vec4 query = AT_VEC4(q, q_at[n] + kKeyQuads + i);
        [[unroll]] for (uint k = 0; k < KEYS; k++)
          [[unroll]] for (uint c = 0; c < 4; c++) sum[n][k] = fma(query[c], key[k][c], sum[n][k]);
      }
    }
  }

  [[unroll]] for (uint k = 0; k < KEYS; k++) {
    const uint slot = first + k * kWorkgroup;
    if (slot >= kPageTokens) break;
    [[unroll]] for (uint n = 0; n < QUERIES; n++)
      score[n][slot] = slot >= begin[n] && slot < end[n] ? sum[n][k] : kNothing;
  }
}

// accumulator = accumulator * rescale + weights . values, keys in order. Only slots in
// [any_begin, any_end) are read: nobody may ever have written the others.
void gather_values(const uint page, const uint kv_head, const float rescale[QUERIES],
                   const uint any_begin, const uint any_end) {
  const uint page_at = kv_row(page, p.n_kv_heads, kv_head, 0, kHeadDim);
  for (uint i = gl_LocalInvocationID.x; i < kValueQuads; i += kWorkgroup) {
    precise vec4 sum[QUERIES];
    [[unroll]] for (uint n = 0; n < QUERIES; n++) sum[n] = accumulator[n][i] * rescale[n];
    for (uint j = any_begin / 4 * 4; j < any_end; j += 4) {
      vec4 value[4];
      [[unroll]] for (uint k = 0; k < 4; k++) {
        const uint slot = clamp(j + k, any_begin, any_end - 1);
        const vec4 v = kv_values(load_value(page_at + slot * kValueQuads + i));
        value[k] = slot == j + k ? v : vec4(0.0);
      }
      [[unroll]] for (uint n = 0; n < QUERIES; n++) {
        const vec4 w = weight[n][j / 4];
        [[unroll]] for (uint k = 0; k < 4; k++) sum[n] = fma(vec4(w[k]), value[k], sum[n]);
      }
    }
    [[unroll]] for (uint n = 0; n < QUERIES; n++) accumulator[n][i] = sum[n];
  }
}

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint first_row = infos[gl_WorkGroupID.x].tile_first;
  const uint n_rows = infos[gl_WorkGroupID.x].tile_rows;
  if (n_rows == 0) return;  // the same for the whole workgroup
  const uint first_head = gl_WorkGroupID.y * kHeads;
  const uint kv_head = first_head / (p.n_heads / p.n_kv_heads);
  const uint q_quads = kKeyQuads + (kFolded == 1 ? kValueQuads : 0);

  // Query n is head n % kHeads of row n / kHeads; past the tile's rows the last is computed again.
  uint q_at[QUERIES];
  uint first[QUERIES];
  uint last[QUERIES];
  uint tile_first = 0xffffffffu;
  uint tile_last = 0;
  [[unroll]] for (uint n = 0; n < QUERIES; n++) {
    const uint row = first_row + min(n / kHeads, n_rows - 1);
    const uint position = infos[row].position;
    q_at[n] = (row * p.n_heads + first_head + n % kHeads) * q_quads;
    first[n] = p.window != 0 && position + 1 > p.window ? position + 1 - p.window : 0;
    last[n] = p.window == 0 ? position : infos[row].last_visible;
    tile_first = min(tile_first, first[n] / kPageTokens);
    tile_last = max(tile_last, last[n] / kPageTokens);
  }
  const uint table = p.window == 0 ? infos[first_row].full_pages : infos[first_row].sliding_pages;

  [[unroll]] for (uint n = 0; n < QUERIES; n++)
    for (uint i = lane; i < kValueQuads; i += kWorkgroup) accumulator[n][i] = vec4(0.0);
  float running_max[QUERIES];
  precise float running_sum[QUERIES];
  [[unroll]] for (uint n = 0; n < QUERIES; n++) {
    running_max[n] = kNothing;
    running_sum[n] = 0.0;
  }

  for (uint tile = tile_first; tile <= tile_last; tile++) {
    const uint page = page_tables[table + tile];
    const uint tile_at = tile * kPageTokens;
    uint begin[QUERIES];  // the slots that each query sees
    uint end[QUERIES];
    uint any_begin = kPageTokens;
    uint any_end = 0;
    [[unroll]] for (uint n = 0; n < QUERIES; n++) {
      begin[n] = clamp(first[n], tile_at, tile_at + kPageTokens) - tile_at;
      end[n] = clamp(last[n] + 1, tile_at, tile_at + kPageTokens) - tile_at;
      if (begin[n] < end[n]) any_begin = min(any_begin, begin[n]);
      any_end = max(any_end, end[n]);
    }
    for (uint slot = lane; slot < kPageTokens; slot += kWorkgroup * KEYS)
      score_keys(q_at, page, kv_head, slot, begin, end);
    barrier();

    float rescale[QUERIES];
    [[unroll]] for (uint n = 0; n < QUERIES; n++) {
      float tile_max = running_max[n];
      for (uint j = 0; j < kPageTokens; j++) tile_max = max(tile_max, score[n][j]);
      rescale[n] = running_max[n] == kNothing ? 0.0 : exp(running_max[n] - tile_max);
      running_max[n] = tile_max;
      for (uint j = lane; j < kPageTokens; j += kWorkgroup) {
        const float s = score[n][j];
        weight[n][j / 4][j % 4] = s == kNothing ? 0.0 : exp(s - tile_max);
      }
    }
    barrier();

    [[unroll]] for (uint n = 0; n < QUERIES; n++) {
      running_sum[n] *= rescale[n];
      for (uint j = 0; j < kPageTokens / 4; j++) {
        const vec4 w = weight[n][j];
        running_sum[n] += w.x;
        running_sum[n] += w.y;
        running_sum[n] += w.z;
        running_sum[n] += w.w;
      }
    }
    gather_values(page, kv_head, rescale, any_begin, any_end);
    barrier();  // the next tile overwrites score and weight
  }

  [[unroll]] for (uint n = 0; n < QUERIES; n++) {
    if (n / kHeads >= n_rows) continue;
    const uint o_at = (first_row + n / kHeads) * p.o_stride_vec4 + (first_head + n % kHeads) * kValueQuads;
    for (uint i = lane; i < kValueQuads; i += kWorkgroup)
      o[o_at + i] = to_activation(accumulator[n][i] / running_sum[n]);
  }
}
