#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// The product of matmul.comp, with -D GATE_UP that of gate_up.comp, by integer dot products: a block of
// 32 codes of a weight row and of an activation row are multiplied and summed as integers, which is
// exact, and join the float32 sum with both their scales. For weight types that are codes and scales.
//
// in    x         codes of quantise.comp, four to a word
// in    x_scales  their scales and scaled sums
// else            as in matmul.comp or gate_up.comp
// grid            (output rows / tile rows, n_columns / tile columns) rounded up. A tile has
//                 kRowLanes * kTiledRowsPerLane weight rows, half of them of each matrix with
//                 GATE_UP, and kColumnLanes * kTiledColumnsPerLane columns
// precision       activations as quantise.comp rounds them; f32 sums of blocks in K order
// twin            engine/reference/matmul.h, engine/reference/gate_up.h on the rounded activations
#include "shaders/params/matmul.h"
#include "shaders/params/step.h"

layout(constant_id = kMatmulSpecLanes) const uint kLanes = 8;
layout(constant_id = kMatmulSpecEpilogue) const uint kEpilogue = 0;
layout(constant_id = kTiledSpecRowLanes) const uint kRowLanes = 16;
layout(constant_id = kTiledSpecColumnLanes) const uint kColumnLanes = 16;
layout(local_size_x_id = kTiledSpecRowLanes, local_size_y_id = kTiledSpecColumnLanes) in;

const uint kRows = kTiledRowsPerLane;
const uint kColumns = kTiledColumnsPerLane;
const uint kTileRows = kRowLanes * kRows;
const uint kTileColumns = kColumnLanes * kColumns;
const uint kWorkgroup = kRowLanes * kColumnLanes;

#include "include/activation.glsl"
#include "include/integer_dot.glsl"
#include "include/weight.glsl"
#include "include/weight_bytes.glsl"
#define X_WORD uvec4  // 16 codes
#include "include/product_tile.glsl"

#ifdef GATE_UP
layout(set = 0, binding = kGateUpBindings) readonly buffer XScales { vec2 x_scales[]; };
#else
layout(set = 0, binding = kMatmulBindings) readonly buffer XScales { vec2 x_scales[]; };
#endif

const uint kOutputsPerLane = kTileOutputs / kRowLanes;
// Two words of 16 codes and one more, so that 8 neighbouring rows lie on different banks.
const uint kStride = 3;

shared uvec4 weight_tile[kTileRows * kStride];
shared uvec4 x_tile[kTileColumns * kStride];
shared BLOCK_SCALE weight_scales[kTileRows];
shared vec2 x_scale_tile[kTileColumns];

// Where a row of the tile stands in shared memory, as in matmul_tiled.comp.
uint weight_slot(const uint row) {
  const uint own = 2 * (row / (2 * kRowLanes)) + (row & 1);
  return own * kRowLanes + (row / 2) % kRowLanes;
}

// Unpacks 16 weights of a row: whole blocks would leave half the lanes idle.
void store_weights(const uint row, const uint block, const uint half_block) {
  const WeightBlock weights = tile_weights(row, block);
  const uint slot = weight_slot(row);
  uvec4 word;
  if (half_block == 0) {
    word = uvec4(weight_bytes(weights, 0), weight_bytes(weights, 1), weight_bytes(weights, 2),
                 weight_bytes(weights, 3));
    weight_scales[slot] = block_scale(weights);
  } else {
    word = uvec4(weight_bytes(weights, 4), weight_bytes(weights, 5), weight_bytes(weights, 6),
                 weight_bytes(weights, 7));
  }
  weight_tile[slot * kStride + half_block] = word;
}

void main() {
  const uint lane = gl_LocalInvocationIndex;
  const uint row_lane = gl_LocalInvocationID.x;
  const uint column_lane = gl_LocalInvocationID.y;
  const uint first_column = gl_WorkGroupID.y * kTileColumns;

  float sum[kRows][kColumns];
  [[unroll]] for (uint r = 0; r < kRows; r++)
    [[unroll]] for (uint c = 0; c < kColumns; c++) sum[r][c] = 0.0;

  for (uint block = 0; block < p.n_blocks; block++) {
    for (uint i = lane; i < 2 * kTileRows; i += kWorkgroup) {
      if (i < kTileRows) {
        store_weights(i, block, 0);
      } else {
        store_weights(i - kTileRows, block, 1);
      }
    }
    for (uint i = lane; i < 2 * kTileColumns; i += kWorkgroup) {
      const uint column = i / 2;
      const uint word = x_row(first_column + column) / 4 + 2 * block + (i & 1);
      x_tile[column * kStride + (i & 1)] = x[word];
      if ((i & 1) == 0) x_scale_tile[column] = x_scales[word / 2];
    }
    barrier();  // the tiles are whole

    uvec4 values[kColumns][2];
    vec2 scales[kColumns];
    [[unroll]] for (uint c = 0; c < kColumns; c++) {
      const uint column = c * kColumnLanes + column_lane;
      values[c][0] = x_tile[column * kStride];
      values[c][1] = x_tile[column * kStride + 1];
      scales[c] = x_scale_tile[column];
    }
    [[unroll]] for (uint r = 0; r < kRows; r++) {
      const uint slot = r * kRowLanes + row_lane;
      const CodeBlock w = CodeBlock(
          uvec4[2](weight_tile[slot * kStride], weight_tile[slot * kStride + 1]), weight_scales[slot]);
      [[unroll]] for (uint c = 0; c < kColumns; c++)
        sum[r][c] = add_block(sum[r][c], w, values[c], scales[c]);
    }
    barrier();  // and may be written again
  }

  [[unroll]] for (uint c = 0; c < kColumns; c++) {
    const uint column = first_column + c * kColumnLanes + column_lane;
    [[unroll]] for (uint r = 0; r < kOutputsPerLane; r += 2) {
      const uint row = gl_WorkGroupID.x * kTileOutputs + r * kRowLanes + 2 * row_lane;
#ifdef GATE_UP
      const vec2 outputs = vec2(gelu(sum[r][c]) * sum[r + kOutputsPerLane][c],
                                gelu(sum[r + 1][c]) * sum[r + 1 + kOutputsPerLane][c]);
#else
      const vec2 outputs = vec2(sum[r][c], sum[r + 1][c]);
#endif
      write_pair(column, row, outputs);
    }
  }
}
