#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Product of a weight matrix with activation rows.
//
//   y[c, y_offset + r] = epilogue(sum_k weight[r,k] * x[column(c), k])
//
// in    weight  one part of a matrix, type by -D WEIGHT_*, [n_rows, 32 * n_blocks]
// in    x       f32, or f16 with -D ACT16, [*, 32 * n_blocks], zero past the true length
// in    rows    u32 [n_columns], read where gather is 1: column(c) = rows[c], else c
// in    bias    f32 [n_rows], kEpilogueBias
// out   y       f32
// grid          (output rows / (kLanes * kMatmulRowsPerLane), n_columns / COLUMNS) rounded up
// precision     f32 sums in K order, of codes below one scale first; independent of COLUMNS and of the grid
// twin          engine/reference/matmul.h
#include "shaders/params/matmul.h"
#include "shaders/params/step.h"

layout(constant_id = kMatmulSpecLanes) const uint kLanes = 8;
layout(constant_id = kMatmulSpecEpilogue) const uint kEpilogue = 0;
layout(local_size_x_id = kMatmulSpecLanes) in;

#include "include/activation.glsl"
#include "include/weight.glsl"

layout(push_constant) uniform Push { MatmulParams p; PLANE_ADDRESSES(kMatmulBindX + 1) };
PLANE(kMatmulBindQuants, Quants, uvec4, quants);
PLANE(kMatmulBindScales, Scales, uint, scales);
PLANE(kMatmulBindHigh, High, uvec2, high);
PLANE(kMatmulBindX, X, ACTIVATION, x);
layout(set = 0, binding = kMatmulBindY) writeonly buffer Y { float y[]; };
layout(set = 0, binding = kMatmulBindRows) readonly buffer Rows { uint rows[]; };
layout(set = 0, binding = kMatmulBindBias) readonly buffer Bias { float bias[]; };

DECLARE_WEIGHT_LOAD(load_weight, quants, scales, high)
const uint kLaneRows = kMatmulRowsPerLane;
#include "include/product.glsl"

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint last_group = (p.n_rows + kLanes - 1) / kLanes - 1;
  const uint first_group = gl_WorkGroupID.x * kLaneRows;
  const uint first_column = gl_WorkGroupID.y * COLUMNS;

  // Past the end the last group or column is computed again and not written.
  uint group[kLaneRows];
  [[unroll]] for (uint r = 0; r < kLaneRows; r++) group[r] = min(first_group + r, last_group);
  uint x_at[COLUMNS];
  [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
    const uint column = min(first_column + c, p.n_columns - 1);
    x_at[c] = (p.gather == 1 ? rows[column] : column) * p.x_stride_vec4;
  }

  precise float sum[kLaneRows][COLUMNS];
  [[unroll]] for (uint r = 0; r < kLaneRows; r++)
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) sum[r][c] = 0.0;

  const uint n_blocks = p.n_blocks;  // llvmpipe loads a push constant anew in each round of a loop
  for (uint block = 0; block < n_blocks; block++) {
    const uint at = block_at(block, n_blocks);
    const Activations activations = load_activations(at, lane, x_at);
    [[unroll]] for (uint first = 0; first < kLaneRows; first += kTogether) {
      WeightBlock weights[kTogether];
      [[unroll]] for (uint r = 0; r < kTogether; r++)
        weights[r] = load_weight(group[first + r], at, n_blocks, lane);
      add_block(weights, activations, first, sum);
    }
  }

  [[unroll]] for (uint r = 0; r < kLaneRows; r++) {
    const uint row = (first_group + r) * kLanes + lane;
    if (row >= p.n_rows) continue;
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
      const uint column = first_column + c;
      if (column >= p.n_columns) continue;
      float value = sum[r][c];
      if (kEpilogue == kEpilogueBias) value += bias[row];
      if (kEpilogue == kEpilogueSoftCap)
        value = p.soft_cap * tanh(clamp(value / p.soft_cap, -20.0, 20.0));
      y[column * p.y_stride + p.y_offset + row] = value;
    }
  }
}
