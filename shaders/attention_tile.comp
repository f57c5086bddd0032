#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Attention for graphics cards: a workgroup serves QUERIES queries, kHeads heads of one KV head for
// each of QUERIES / kHeads rows of a sequence, and walks key tiles with a running softmax. The
// formula is attention.comp's. A row's sums do not depend on the queries beside it: tiles are pages,
// and a key that a query does not see has weight 0.
//
//   prefill   (kSplit 0) neighbouring rows, over all keys that any of them sees; where another
//             sequence begins among them, one sequence after the other
//   generate  (kSplit 1) one row and one of its key ranges: maximum, sum of weights and weighted sum
//             of values go to `partials`, and attention_merge.comp adds up the ranges
//
// Scores: a lane multiplies SCORE_QUERIES queries with KEYS keys over its share of the dimensions;
// keys go from memory to registers, the queries lie in shared memory in chunks; then the sums of
// lanes that share a key meet. Values: a lane owns 4 dimensions of half of the queries, and reads a
// value once for all of them.
//
// in    q     f32 [rows, n_heads, key_dim (+ head_dim where folded)]
// out   o     f32, or f16 with -D ACT16, [rows, n_heads * head_dim]; or
//       partials  f32 [row of the pass, n_heads, max_ranges, 4 + head_dim]
// grid        prefill (rows / (QUERIES / kHeads) rounded up, n_heads / kHeads, 1), generate
//             (max_ranges, n_heads / kHeads, rows of the pass); workgroups whose range the row does
//             not reach return at once
// twin        engine/reference/attention.h
#include "shaders/params/attention.h"

layout(constant_id = kAttentionSpecHeadDim) const uint kHeadDim = 256;
layout(constant_id = kAttentionSpecKeyDim) const uint kKeyDim = 256;
layout(constant_id = kAttentionSpecFolded) const uint kFolded = 0;
layout(constant_id = kAttentionSpecHeads) const uint kHeads = 1;
layout(constant_id = kAttentionSpecSplit) const uint kSplit = 0;
layout(local_size_x = LANES) in;

#include "include/activation.glsl"
#include "include/key_range.glsl"

#define KV_KEYS kAttentionBindKeys
#define KV_VALUES kAttentionBindValues
#define KV_BINDINGS kAttentionTileBindings
#include "include/kv_planes.glsl"

layout(set = 0, binding = kAttentionBindQ) readonly buffer Q { vec4 q[]; };
layout(set = 0, binding = kAttentionBindRowInfo) readonly buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kAttentionBindPageTable) readonly buffer Tables { uint page_tables[]; };
layout(set = 0, binding = kAttentionBindO) writeonly buffer O { ACTIVATION o[]; };
layout(set = 0, binding = kAttentionBindPartials) writeonly buffer Partials { vec4 partials[]; };
layout(push_constant) uniform Push { AttentionTileParams p; };

const uint kKeyQuads = kKeyDim / 4;
const uint kValueQuads = kHeadDim / 4;
const uint kQueryQuads = kKeyQuads + kFolded * kValueQuads;
const float kNothing = -3.0e38;  // the score of a key that is not seen; below every real one

// Few queries leave registers for more loads under way.
#if QUERIES <= 4
#define SCORE_QUERIES QUERIES
#define SCORE_PAIRS 4
#define VALUE_KEYS 16
#else
#define SCORE_QUERIES 8
#define SCORE_PAIRS 1
#define VALUE_KEYS 4
#endif
// That share a key's dimensions.
#if QUERIES == 16 && LANES == 128
#define DIM_LANES 2
#else
#define DIM_LANES 4
#endif
#define KEYS (DIM_LANES * 64 * QUERIES / (LANES * SCORE_QUERIES))  // of a lane
#define KEY_GROUPS (64 / KEYS)
#define CHUNK_QUADS (16 * DIM_LANES)              // of a query in shared memory
#define STEP_QUADS (2 * SCORE_PAIRS * DIM_LANES)  // that the lanes of a key take at once
#define VALUE_QUERIES (QUERIES / 2)               // of a lane
#define QUERY_LANES (LANES / QUERIES)             // that share a query's softmax
#define LANE_SCORES (64 / QUERY_LANES)

// Queries, [QUERIES][CHUNK_QUADS]; then the sums of their scores, [DIM_LANES][QUERIES][kPageTokens].
shared vec4 chunk[QUERIES * CHUNK_QUADS];
shared vec4 weight[QUERIES][kPageTokens / 4];
shared float lane_max[LANES];
shared float lane_sum[LANES];
shared float rescale[QUERIES];  // of what has been added so far; at the end the sum of weights

// What a workgroup works on.
struct Tile {
  uint first_row, n_rows;  // neighbouring rows of one sequence
  uint first_head, kv_head;
};

// Copies `n_quads` groups of every query's dimensions to `chunk`, zeros behind them up to whole steps.
void stage_queries(const Tile t, const uint from, const uint n_quads) {
  barrier();  // `chunk` was read as something else
  const uint i = gl_LocalInvocationID.x % CHUNK_QUADS;
  for (uint n = gl_LocalInvocationID.x / CHUNK_QUADS; n < QUERIES; n += LANES / CHUNK_QUADS) {
    const uint row = t.first_row + min(n / kHeads, t.n_rows - 1);
    vec4 v = vec4(0.0);
    if (i < n_quads) v = q[(row * p.n_heads + t.first_head + n % kHeads) * kQueryQuads + from + i];
    chunk[n * CHUNK_QUADS + i] = v;
  }
  barrier();
}

// This lane's share of the scores of a page.
uint dim_lane() { return gl_LocalInvocationID.x % DIM_LANES; }
uint first_key() { return gl_LocalInvocationID.x / DIM_LANES % KEY_GROUPS * KEYS; }
uint first_query() { return gl_LocalInvocationID.x / (DIM_LANES * KEY_GROUPS) * SCORE_QUERIES; }

// score += queries . keys of a page, over this lane's share of a plane's dimensions: the keys', or
// the values' where they serve as keys. In a query they begin at `query_from`.
void add_scores(const Tile t, const bool of_values, const uint page, const uint plane_quads,
                const uint query_from, inout precise float score[SCORE_QUERIES][KEYS]) {
  const uint key_at = kv_row(page, p.n_kv_heads, t.kv_head, first_key(), 4 * plane_quads);
  for (uint from = 0; from < plane_quads; from += CHUNK_QUADS) {
    const uint n_quads = min(plane_quads - from, CHUNK_QUADS);
    stage_queries(t, query_from + from, n_quads);
    for (uint i = 0; i < n_quads; i += STEP_QUADS) {
      vec4 key[2 * SCORE_PAIRS][KEYS];
      [[unroll]] for (uint s = 0; s < 2 * SCORE_PAIRS; s++) {
        const uint quad = min(from + i + (s / 2 * DIM_LANES + dim_lane()) * 2 + s % 2, plane_quads - 1);
        [[unroll]] for (uint k = 0; k < KEYS; k++) {
          const uint at = key_at + k * plane_quads + quad;
          key[s][k] = kv_values(of_values ? load_value(at) : load_key(at));
        }
      }
      [[unroll]] for (uint s = 0; s < 2 * SCORE_PAIRS; s++) {
        const uint quad = i + (s / 2 * DIM_LANES + dim_lane()) * 2 + s % 2;
        [[unroll]] for (uint n = 0; n < SCORE_QUERIES; n++) {
          const vec4 v = chunk[(first_query() + n) * CHUNK_QUADS + quad];
          [[unroll]] for (uint k = 0; k < KEYS; k++)
            [[unroll]] for (uint c = 0; c < 4; c++) score[n][k] = fma(v[c], key[s][k][c], score[n][k]);
        }
      }
    }
  }
}

// Attention of neighbouring rows of a sequence, whose table of pages begins at `table`.
void attend(const Tile t, const uint table) {
  const uint lane = gl_LocalInvocationID.x;

  uint first = 0xffffffffu;  // that any query sees
  uint last = 0;
  for (uint r = 0; r < t.n_rows; r++) {
    const uint position = infos[t.first_row + r].position;
    first = min(first, p.window != 0 && position + 1 > p.window ? position + 1 - p.window : 0);
    last = max(last, p.window == 0 ? position : infos[t.first_row + r].last_visible);
  }
  uint first_tile = first / kPageTokens;
  uint last_tile = last / kPageTokens;
  uint range = 0;  // of the row, counted from the first that it sees
  if (kSplit == 1) {
    // Long ranges stand last and begin first.
    range = p.max_ranges - 1 - gl_WorkGroupID.x;
    const bool sliding = p.window != 0;
    const uint at = range + key_range_of(first, sliding);
    if (at > key_range_of(last, sliding)) return;
    first_tile = max(first_tile, key_range_page(at, sliding));
    if (range + 1 < p.max_ranges)  // the last one takes what is left
      last_tile = min(last_tile, key_range_page(at + 1, sliding) - 1);
  }

  // Softmax: the query that this lane looks after with others, its keys, and what it sees.
  const uint query = lane / QUERY_LANES;
  const uint first_slot = lane % QUERY_LANES * LANE_SCORES;
  const uint query_row = t.first_row + min(query / kHeads, t.n_rows - 1);
  const uint position = infos[query_row].position;
  const uint query_first = p.window != 0 && position + 1 > p.window ? position + 1 - p.window : 0;
  const uint query_last = p.window == 0 ? position : infos[query_row].last_visible;
  float running_max = kNothing;
  precise float running_sum = 0.0;

  // Values: this lane's 4 dimensions and queries.
  const uint column = lane % (LANES / 2);
  const uint first_sum = lane / (LANES / 2) * VALUE_QUERIES;
  precise vec4 sum[VALUE_QUERIES];
  [[unroll]] for (uint n = 0; n < VALUE_QUERIES; n++) sum[n] = vec4(0.0);

  for (uint tile = first_tile; tile <= last_tile; tile++) {
    const uint page = page_tables[table + tile];
    const uint tile_at = tile * kPageTokens;

    precise float score[SCORE_QUERIES][KEYS];
    [[unroll]] for (uint n = 0; n < SCORE_QUERIES; n++)
      [[unroll]] for (uint k = 0; k < KEYS; k++) score[n][k] = 0.0;
    add_scores(t, false, page, kKeyQuads, 0, score);
    if (kFolded == 1) add_scores(t, true, page, kValueQuads, kKeyQuads, score);
    barrier();  // all have read the queries
    [[unroll]] for (uint n = 0; n < SCORE_QUERIES; n++) {
      const uint at = (dim_lane() * QUERIES + first_query() + n) * (kPageTokens / 4);
      [[unroll]] for (uint k = 0; k < KEYS; k++)
        chunk[at + (first_key() + k) / 4][(first_key() + k) % 4] = score[n][k];
    }
    barrier();

    // Which slots this lane's query sees, and which any query sees: nobody may ever have written the
    // others.
    const uint begin = clamp(query_first, tile_at, tile_at + kPageTokens) - tile_at;
    const uint end = clamp(query_last + 1, tile_at, tile_at + kPageTokens) - tile_at;
    const uint any_begin = max(first, tile_at) - tile_at;
    const uint any_end = min(last + 1 - tile_at, kPageTokens);

    float seen[LANE_SCORES];
    float highest = running_max;
    [[unroll]] for (uint k = 0; k < LANE_SCORES; k++) {
      const uint slot = first_slot + k;
      precise float s = 0.0;
      [[unroll]] for (uint d = 0; d < DIM_LANES; d++)
        s += chunk[(d * QUERIES + query) * (kPageTokens / 4) + slot / 4][slot % 4];
      seen[k] = slot >= begin && slot < end ? s : kNothing;
      highest = max(highest, seen[k]);
    }
    lane_max[lane] = highest;
    barrier();
    for (uint i = 0; i < QUERY_LANES; i++) highest = max(highest, lane_max[query * QUERY_LANES + i]);
    const float shrink = running_max == kNothing ? 0.0 : exp(running_max - highest);
    running_max = highest;
    precise float weights = 0.0;
    [[unroll]] for (uint k = 0; k < LANE_SCORES; k++) {
      const float w = seen[k] == kNothing ? 0.0 : exp(seen[k] - highest);
      weight[query][(first_slot + k) / 4][(first_slot + k) % 4] = w;
      weights += w;
    }
    lane_sum[lane] = weights;
    if (first_slot == 0) rescale[query] = shrink;
    barrier();
    running_sum *= shrink;
    for (uint i = 0; i < QUERY_LANES; i++) running_sum += lane_sum[query * QUERY_LANES + i];

    if (column < kValueQuads) {
      const uint value_at = kv_row(page, p.n_kv_heads, t.kv_head, 0, kHeadDim) + column;
      [[unroll]] for (uint n = 0; n < VALUE_QUERIES; n++) sum[n] *= rescale[first_sum + n];
      for (uint j = any_begin / VALUE_KEYS * VALUE_KEYS; j < any_end; j += VALUE_KEYS) {
        vec4 value[VALUE_KEYS];
        [[unroll]] for (uint k = 0; k < VALUE_KEYS; k++) {
          const uint slot = clamp(j + k, any_begin, any_end - 1);
          const vec4 v = kv_values(load_value(value_at + slot * kValueQuads));
          value[k] = slot == j + k ? v : vec4(0.0);
        }
        [[unroll]] for (uint n = 0; n < VALUE_QUERIES; n++)
          [[unroll]] for (uint k = 0; k < VALUE_KEYS; k += 4) {
            const vec4 w = weight[first_sum + n][(j + k) / 4];
            [[unroll]] for (uint c = 0; c < 4; c++) sum[n] = fma(vec4(w[c]), value[k + c], sum[n]);
          }
      }
    }
  }

  barrier();  // all have read `rescale`
  if (kSplit == 1) {
    const uint head_at = gl_WorkGroupID.z * p.n_heads + t.first_head;
    const uint record = 1 + kValueQuads;
    if (first_slot == 0 && query < kHeads)
      partials[((head_at + query) * p.max_ranges + range) * record] =
          vec4(running_max, running_sum, 0.0, 0.0);
    [[unroll]] for (uint n = 0; n < VALUE_QUERIES; n++)
      if (first_sum + n < kHeads && column < kValueQuads)
        partials[((head_at + first_sum + n) * p.max_ranges + range) * record + 1 + column] = sum[n];
  } else {
    if (first_slot == 0) rescale[query] = running_sum;
    barrier();
    [[unroll]] for (uint n = 0; n < VALUE_QUERIES; n++) {
      const uint i = first_sum + n;
      if (i / kHeads < t.n_rows && column < kValueQuads)
        o[(t.first_row + i / kHeads) * p.o_stride_vec4 + (t.first_head + i % kHeads) * kValueQuads + column] =
            to_activation(sum[n] / rescale[i]);
    }
  }
}

uint table_of(const uint row) {
  return p.window == 0 ? infos[row].full_pages : infos[row].sliding_pages;
}

void main() {
  const uint first_head = gl_WorkGroupID.y * kHeads;
  const uint kv_head = first_head / (p.n_heads / p.n_kv_heads);
  if (kSplit == 1) {
    const uint row = p.first_row + gl_WorkGroupID.z;
    attend(Tile(row, 1, first_head, kv_head), table_of(row));
    return;
  }
  const uint most = QUERIES / kHeads;
  const uint end = min((gl_WorkGroupID.x + 1) * most, p.n_rows);
  uint n = 0;
  for (uint row = gl_WorkGroupID.x * most; row < end; row += n) {
    const uint table = table_of(row);
    for (n = 1; row + n < end && table_of(row + n) == table;) n++;
    attend(Tile(row, n, first_head, kv_head), table);
  }
}
