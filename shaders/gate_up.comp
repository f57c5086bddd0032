#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// The gated half of the FFN: both products and the gate in one pass over the activations.
//
//   y[c, r] = gelu(sum_k gate[r,k] * x[c,k]) * sum_k up[r,k] * x[c,k]
//
// in    gate, up  parts of two matrices of one type and shape, -D WEIGHT_*
// in    x         as in matmul.comp
// out   y         f32, or f16 with -D ACT16, [n_columns, n_rows]: the input of the down product
// grid            (output rows / (kLanes * kGateUpRowsPerLane), n_columns / COLUMNS) rounded up
// precision       f32; gelu is the tanh form (docs/model.md, primitives)
// twin            engine/reference/gate_up.h
#include "shaders/params/matmul.h"
#include "shaders/params/step.h"

layout(constant_id = kMatmulSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kMatmulSpecLanes) in;

#include "include/activation.glsl"
#include "include/gelu.glsl"
#include "include/weight.glsl"

layout(push_constant) uniform Push { MatmulParams p; PLANE_ADDRESSES(kGateUpBindX + 1) };
PLANE(kMatmulBindQuants, GateQuants, uvec4, gate_quants);
PLANE(kMatmulBindScales, GateScales, uint, gate_scales);
PLANE(kMatmulBindHigh, GateHigh, uvec2, gate_high);
PLANE(3 + kMatmulBindQuants, UpQuants, uvec4, up_quants);
PLANE(3 + kMatmulBindScales, UpScales, uint, up_scales);
PLANE(3 + kMatmulBindHigh, UpHigh, uvec2, up_high);
PLANE(kGateUpBindX, X, ACTIVATION, x);
#ifdef ACT16
layout(set = 0, binding = kGateUpBindY) buffer Y { uint y[]; };
#else
layout(set = 0, binding = kGateUpBindY) writeonly buffer Y { float y[]; };
#endif

DECLARE_WEIGHT_LOAD(load_gate, gate_quants, gate_scales, gate_high)
DECLARE_WEIGHT_LOAD(load_up, up_quants, up_scales, up_high)
const uint kTile = kGateUpRowsPerLane;
const uint kLaneRows = 2 * kTile;  // a gate's and an up's in turn
#include "include/product.glsl"

#ifdef ACT16
// Two neighbouring lanes hold the two halves of a word: they meet in shared memory.
shared float pair_value[kLanes];
#endif

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint last_group = (p.n_rows + kLanes - 1) / kLanes - 1;
  const uint first_group = gl_WorkGroupID.x * kTile;
  const uint first_column = gl_WorkGroupID.y * COLUMNS;

  uint group[kTile];
  [[unroll]] for (uint r = 0; r < kTile; r++) group[r] = min(first_group + r, last_group);
  uint x_at[COLUMNS];
  [[unroll]] for (uint c = 0; c < COLUMNS; c++)
    x_at[c] = min(first_column + c, p.n_columns - 1) * p.x_stride_vec4;

  precise float sum[kLaneRows][COLUMNS];
  [[unroll]] for (uint r = 0; r < kLaneRows; r++)
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) sum[r][c] = 0.0;

  const uint n_blocks = p.n_blocks;  // llvmpipe loads a push constant anew in each round of a loop
  for (uint block = 0; block < n_blocks; block++) {
    const uint at = block_at(block, n_blocks);
    const Activations activations = load_activations(at, lane, x_at);
    [[unroll]] for (uint first = 0; first < kLaneRows; first += kTogether) {
      WeightBlock weights[kTogether];
      [[unroll]] for (uint r = 0; r < kTogether; r++) {
        const uint g = group[(first + r) / 2];
        if ((first + r) % 2 == 0) weights[r] = load_gate(g, at, n_blocks, lane);
        else weights[r] = load_up(g, at, n_blocks, lane);
      }
      add_block(weights, activations, first, sum);
    }
  }

  [[unroll]] for (uint r = 0; r < kTile; r++) {
    const uint row = (first_group + r) * kLanes + lane;
    [[unroll]] for (uint c = 0; c < COLUMNS; c++) {
      const uint column = first_column + c;
      const float value = gelu(sum[2 * r][c]) * sum[2 * r + 1][c];
#ifdef ACT16
      pair_value[lane] = row < p.n_rows ? value : 0.0;
      barrier();
      if ((lane & 1) == 0 && row < p.n_rows && column < p.n_columns)
        y[(column * p.y_stride + p.y_offset + row) / 2] = half_pair(vec2(pair_value[lane], pair_value[lane + 1]));
      barrier();
#else
      if (row < p.n_rows && column < p.n_columns) y[column * p.y_stride + p.y_offset + row] = value;
#endif
    }
  }
}
