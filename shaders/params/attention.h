#ifndef PREFLIGHT_SHADERS_PARAMS_ATTENTION_H
#define PREFLIGHT_SHADERS_PARAMS_ATTENTION_H

#include "shaders/params/step.h"
#include "shaders/params/begin.h"

// A layer's cache has two planes per position and KV head:
//   keys    [key_dim]   rotated keys. Folded: only the 2 * n_rotated dimensions that rotate, the
//                       first halves of the pairs before the second (padded with zeros to 4)
//   values  [head_dim]  normalised values
// Folded (full layers whose value is the key): the other key dimensions are values times k_norm, so
// k_norm is multiplied into the query and the values serve as keys (docs/model.md, K is a function
// of V).
const uint kAttentionSpecLanes = 0, kAttentionSpecHeadDim = 1, kAttentionSpecKeyDim = 2,
           kAttentionSpecFolded = 3,
           kAttentionSpecRotated = 4,  // attention_input.comp
    kAttentionSpecHeads = 4,           // attention*.comp: heads of a workgroup
    kAttentionSpecSplit = 5;           // attention_tile.comp: 1 for one key range of one row

// Kernels of KV pages have variants for planes larger than one binding (include/kv_planes.glsl):
// they see them in at most kKvWindows windows, of which all but the first are bound behind the
// others.
const uint kKvSpecWindowQuads = 8;  // groups of 4 values in a window
const uint kKvWindows = 4;

const uint kAttentionInputBindQkv = 0, kAttentionInputBindQNorm = 1, kAttentionInputBindKNorm = 2,
           kAttentionInputBindRowInfo = 3, kAttentionInputBindRope = 4,
           kAttentionInputBindPageTable = 5, kAttentionInputBindKeys = 6,
           kAttentionInputBindValues = 7, kAttentionInputBindQ = 8, kAttentionInputBindings = 9;

struct AttentionInputParams {  // push constants
  uint n_heads;
  uint n_kv_heads;  // the grid is (rows, n_heads + 2 * n_kv_heads, 1): queries, keys, values
  uint qkv_stride;  // values in a row of qkv
  uint k_offset;    // where the raw keys begin in it
  uint v_offset;    // where the raw values begin; equals k_offset where the value is the key
  uint full;        // 1: take RowInfo.full_pages
  float epsilon;
};
PARAMS_SIZE(AttentionInputParams, 28)

const uint kAttentionBindQ = 0, kAttentionBindRowInfo = 1, kAttentionBindPageTable = 2,
           kAttentionBindKeys = 3, kAttentionBindValues = 4, kAttentionBindO = 5,
           kAttentionBindings = 6;
// The same set with one more: attention_tile.comp and attention_merge.comp.
const uint kAttentionBindPartials = 6, kAttentionTileBindings = 7;

// attention.comp: wide steps pair neighbouring rows of a sequence, narrow ones take each row alone.
const uint kAttentionTileRows = 2;

struct AttentionParams {  // push constants; the grid is (row tiles, n_heads / heads of a workgroup,
                          // 1)
  uint n_heads;
  uint n_kv_heads;
  uint o_stride_vec4;  // distance of rows of o, in groups of 4 values
  uint window;         // keys a sliding layer shows; 0 on full layers
};
PARAMS_SIZE(AttentionParams, 16)

// Generated rows are split by fixed key ranges, so that one row alone keeps a card busy and its
// result depends on nothing but itself. Sliding layers: a page each. Full layers: a page each for
// the first kPageRanges pages; from there on each doubling of the position is cut in
// kDoublingRanges ranges, so that the longest context needs a few hundred.
const uint kDoublingRanges = 32, kPageRanges = 2 * kDoublingRanges;

struct AttentionTileParams {  // push constants
  uint n_heads;
  uint n_kv_heads;
  uint o_stride_vec4;
  uint window;
  uint n_rows;      // prefill: of the step
  uint first_row;   // generate: of the pass, whose partial results are kept at the same time
  uint max_ranges;  // generate: room for the partial results of a row and head
};
PARAMS_SIZE(AttentionTileParams, 28)

#include "shaders/params/end.h"

#endif
