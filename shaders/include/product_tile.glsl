// What the tiled products share (matmul_tiled.comp, matmul_coopmat.comp): the bindings of matmul.comp,
// or with -D GATE_UP those of gate_up.comp, the rows of a tile and what is done to a finished sum.
// Needs kLanes, kEpilogue, kTileRows, weight.glsl, activation.glsl and X_WORD, in which x is read.
#ifdef GATE_UP
#include "include/gelu.glsl"

layout(set = 0, binding = kMatmulBindQuants) readonly buffer GateQuants { uvec4 gate_quants[]; };
layout(set = 0, binding = kMatmulBindScales) readonly buffer GateScales { uint gate_scales[]; };
layout(set = 0, binding = kMatmulBindHigh) readonly buffer GateHigh { uvec2 gate_high[]; };
layout(set = 0, binding = 3 + kMatmulBindQuants) readonly buffer UpQuants { uvec4 up_quants[]; };
layout(set = 0, binding = 3 + kMatmulBindScales) readonly buffer UpScales { uint up_scales[]; };
layout(set = 0, binding = 3 + kMatmulBindHigh) readonly buffer UpHigh { uvec2 up_high[]; };
layout(set = 0, binding = kGateUpBindX) readonly buffer X { X_WORD x[]; };
#ifdef ACT16
layout(set = 0, binding = kGateUpBindY) writeonly buffer Y { uint y[]; };
#else
layout(set = 0, binding = kGateUpBindY) writeonly buffer Y { float y[]; };
#endif
layout(push_constant) uniform Push { MatmulParams p; };

DECLARE_WEIGHT_LOAD(load_gate, gate_quants, gate_scales, gate_high)
DECLARE_WEIGHT_LOAD(load_up, up_quants, up_scales, up_high)
#else
layout(set = 0, binding = kMatmulBindQuants) readonly buffer Quants { uvec4 quants[]; };
layout(set = 0, binding = kMatmulBindScales) readonly buffer Scales { uint scales[]; };
layout(set = 0, binding = kMatmulBindHigh) readonly buffer High { uvec2 high[]; };
layout(set = 0, binding = kMatmulBindX) readonly buffer X { X_WORD x[]; };
layout(set = 0, binding = kMatmulBindY) writeonly buffer Y { float y[]; };
layout(set = 0, binding = kMatmulBindRows) readonly buffer Rows { uint rows[]; };
layout(set = 0, binding = kMatmulBindBias) readonly buffer Bias { float bias[]; };
layout(push_constant) uniform Push { MatmulParams p; };

DECLARE_WEIGHT_LOAD(load_weight, quants, scales, high)
#endif

// Output rows of a tile: half of its weight rows belong to each of two matrices.
#ifdef GATE_UP
const uint kTileOutputs = kTileRows / 2;
#else
const uint kTileOutputs = kTileRows;
#endif

// Past the last row the last group is read again, past the last column the last column: what comes of
// them is not written.
WeightBlock tile_weights(const uint tile_row, const uint block) {
  const uint row = gl_WorkGroupID.x * kTileOutputs + tile_row % kTileOutputs;
  const uint group = min(row / kLanes, (p.n_rows - 1) / kLanes);
#ifdef GATE_UP
  if (tile_row >= kTileOutputs) return load_up(group, block, p.n_blocks, row % kLanes);
  return load_gate(group, block, p.n_blocks, row % kLanes);
#else
  return load_weight(group, block, p.n_blocks, row % kLanes);
#endif
}

uint x_row(const uint column) {
  const uint c = min(column, p.n_columns - 1);
#ifndef GATE_UP
  if (p.gather == 1) return rows[c] * p.x_stride_vec4;
#endif
  return c * p.x_stride_vec4;
}

#ifndef GATE_UP
float finished(const float sum, const uint row) {
  if (kEpilogue == kEpilogueBias) return sum + bias[row];
  if (kEpilogue == kEpilogueSoftCap) return p.soft_cap * tanh(clamp(sum / p.soft_cap, -20.0, 20.0));
  return sum;
}
#endif

// Writes the outputs of rows `row`, an even one, and row + 1; with GATE_UP they are gated already.
void write_pair(const uint column, const uint row, const vec2 values) {
  if (column >= p.n_columns || row >= p.n_rows) return;
  const uint at = column * p.y_stride + p.y_offset + row;
#ifdef GATE_UP
#ifdef ACT16
  y[at / 2] = half_pair(vec2(values.x, row + 1 < p.n_rows ? values.y : 0.0));
#else
  y[at] = values.x;
  if (row + 1 < p.n_rows) y[at + 1] = values.y;
#endif
#else
  y[at] = finished(values.x, row);
  if (row + 1 < p.n_rows) y[at + 1] = finished(values.y, row + 1);
#endif
}
