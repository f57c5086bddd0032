#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// The product of matmul.comp for many activation rows, and with -D GATE_UP that of gate_up.comp: a
// workgroup decodes a tile of weights into shared memory once for all columns of its tile.
//
// in, out       as in matmul.comp or gate_up.comp
// grid          (output rows / tile rows, n_columns / tile columns) rounded up. A tile has
//               kRowLanes * kTiledRowsPerLane weight rows, half of them of each matrix with
//               GATE_UP, and kColumnLanes * kTiledColumnsPerLane columns
// precision     f32 sums of scaled weights in K order, the same in every column and company
// twin          engine/reference/matmul.h, engine/reference/gate_up.h
#include "shaders/params/matmul.h"
#include "shaders/params/step.h"

layout(constant_id = kMatmulSpecLanes) const uint kLanes = 8;
layout(constant_id = kMatmulSpecEpilogue) const uint kEpilogue = 0;
layout(constant_id = kTiledSpecRowLanes) const uint kRowLanes = 8;
layout(constant_id = kTiledSpecColumnLanes) const uint kColumnLanes = 16;
layout(local_size_x_id = kTiledSpecRowLanes, local_size_y_id = kTiledSpecColumnLanes) in;

const uint kRows = kTiledRowsPerLane;
const uint kColumns = kTiledColumnsPerLane;
const uint kTileRows = kRowLanes * kRows;
const uint kTileColumns = kColumnLanes * kColumns;
const uint kWorkgroup = kRowLanes * kColumnLanes;

#include "include/activation.glsl"
#include "include/weight.glsl"
#define X_WORD ACTIVATION
#include "include/product_tile.glsl"

const uint kOutputsPerLane = kTileOutputs / kRowLanes;
const uint kQuads = kWeightBlock / 4;
// One vec4 more than a block keeps lanes that read neighbouring rows on different banks.
const uint kStride = kQuads + 1;

shared vec4 weight_tile[kTileRows * kStride];
shared vec4 x_tile[kTileColumns * kStride];

// Where a row of the tile stands in shared memory. A lane owns pairs of neighbouring rows, so that it
// can write float16 pairs, but at each step the lanes read neighbouring slots.
uint weight_slot(const uint row) {
  const uint own = 2 * (row / (2 * kRowLanes)) + (row & 1);
  return own * kRowLanes + (row / 2) % kRowLanes;
}

// Decodes 16 weights of a row: whole blocks would leave half the lanes idle.
void store_weights(const uint row, const uint block, const uint first_quad) {
  const WeightBlock weights = tile_weights(row, block);
  const uint at = weight_slot(row) * kStride;
  [[unroll]] for (uint q = 0; q < kQuads / 2; q++)
    weight_tile[at + first_quad + q] = weight_values(weights, first_quad + q);
}

void main() {
  const uint lane = gl_LocalInvocationIndex;
  const uint row_lane = gl_LocalInvocationID.x;
  const uint column_lane = gl_LocalInvocationID.y;
  const uint first_column = gl_WorkGroupID.y * kTileColumns;

  precise float sum[kRows][kColumns];
  [[unroll]] for (uint r = 0; r < kRows; r++)
    [[unroll]] for (uint c = 0; c < kColumns; c++) sum[r][c] = 0.0;

  for (uint block = 0; block < p.n_blocks; block++) {
    for (uint i = lane; i < 2 * kTileRows; i += kWorkgroup) {
      if (i < kTileRows) {
        store_weights(i, block, 0);
      } else {
        store_weights(i - kTileRows, block, kQuads / 2);
      }
    }
    for (uint i = lane; i < kTileColumns * kQuads; i += kWorkgroup) {
      const uint column = i / kQuads;
      const uint quad = i % kQuads;
      x_tile[column * kStride + quad] =
          activation_values(x[x_row(first_column + column) + block * kQuads + quad]);
    }
    barrier();  // the tiles are whole

    for (uint quad = 0; quad < kQuads; quad++) {
      vec4 values[kColumns];
      [[unroll]] for (uint c = 0; c < kColumns; c++)
        values[c] = x_tile[(c * kColumnLanes + column_lane) * kStride + quad];
      [[unroll]] for (uint r = 0; r < kRows; r++) {
        const vec4 w = weight_tile[(r * kRowLanes + row_lane) * kStride + quad];
        [[unroll]] for (uint c = 0; c < kColumns; c++) {
          sum[r][c] = fma(w.x, values[c].x, sum[r][c]);
          sum[r][c] = fma(w.y, values[c].y, sum[r][c]);
          sum[r][c] = fma(w.z, values[c].z, sum[r][c]);
          sum[r][c] = fma(w.w, values[c].w, sum[r][c]);
        }
      }
    }
    barrier();  // and may be written again
  }

  [[unroll]] for (uint c = 0; c < kColumns; c++) {
    const uint column = first_column + c * kColumnLanes + column_lane;
    [[unroll]] for (uint r = 0; r < kOutputsPerLane; r += 2) {
      const uint row = gl_WorkGroupID.x * kTileOutputs + r * kRowLanes + 2 * row_lane;
#ifdef GATE_UP
      const vec2 values = vec2(gelu(sum[r][c]) * sum[r + kOutputsPerLane][c],
                               gelu(sum[r + 1][c]) * sum[r + 1 + kOutputsPerLane][c]);
#else
      const vec2 values = vec2(sum[r][c], sum[r + 1][c]);
#endif
      write_pair(column, row, values);
    }
  }
}
