#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_shuffle : require

// gate_up.comp for a graphics card and few activation rows: as matvec.comp, with two matrices.
//
//   y[c, r] = gelu(sum_k gate[r,k] * x[c,k]) * sum_k up[r,k] * x[c,k]
//
// in, out       as in gate_up.comp, with DOT as in matmul_dot.comp
// grid          (output rows / kLanes, n_columns / kColumns) rounded up
// precision     as in matvec.comp; gelu is the tanh form (docs/model.md, primitives)
// twin          engine/reference/gate_up.h
#include "shaders/params/matmul.h"
#include "shaders/params/matvec.h"
#include "shaders/params/step.h"

layout(constant_id = kMatvecSpecThreads) const uint kThreads = 256;
layout(constant_id = kMatvecSpecLanes) const uint kLanes = 32;
layout(constant_id = kMatvecSpecColumns) const uint kColumns = 1;
layout(constant_id = kMatvecSpecPiece) const uint kPiece = 4;
layout(local_size_x_id = kMatvecSpecThreads) in;

const uint kRows = 2;  // a gate's and an up's

#include "include/activation.glsl"
#include "include/gelu.glsl"
#include "include/weight.glsl"
#include "include/teams.glsl"
#ifdef DOT
#include "include/integer_dot.glsl"
#include "include/weight_bytes.glsl"
#endif

layout(set = 0, binding = kMatmulBindQuants) restrict readonly buffer GateQuants { uvec4 gate_quants[]; };
layout(set = 0, binding = kMatmulBindScales) restrict readonly buffer GateScales { uint gate_scales[]; };
layout(set = 0, binding = kMatmulBindHigh) restrict readonly buffer GateHigh { uvec2 gate_high[]; };
layout(set = 0, binding = 3 + kMatmulBindQuants) restrict readonly buffer UpQuants { uvec4 up_quants[]; };
layout(set = 0, binding = 3 + kMatmulBindScales) restrict readonly buffer UpScales { uint up_scales[]; };
layout(set = 0, binding = 3 + kMatmulBindHigh) restrict readonly buffer UpHigh { uvec2 up_high[]; };
#ifdef DOT
layout(set = 0, binding = kGateUpBindX) restrict readonly buffer X { uvec4 x[]; };  // 16 codes
layout(set = 0, binding = kGateUpBindings) restrict readonly buffer XScales { vec2 x_scales[]; };
#else
layout(set = 0, binding = kGateUpBindX) restrict readonly buffer X { ACTIVATION x[]; };
#endif
#ifdef ACT16
layout(set = 0, binding = kGateUpBindY) restrict writeonly buffer Y { uint y[]; };
#else
layout(set = 0, binding = kGateUpBindY) restrict writeonly buffer Y { float y[]; };
#endif
layout(push_constant) uniform Push { MatmulParams p; };

DECLARE_WEIGHT_LOAD(load_gate, gate_quants, gate_scales, gate_high)
DECLARE_WEIGHT_LOAD(load_up, up_quants, up_scales, up_high)

const uint kRound = kColumns < 4 ? kColumns : 4;  // columns whose sums meet at once
shared float gate_partial[kRound * kThreads];
shared float up_partial[kRound * kThreads];

void finish(const uint row, const uint column, const float value) {
  const uint at = column * p.y_stride + p.y_offset + row;
#ifdef ACT16
  // Two neighbouring lanes hold the two halves of a word; past the last row stands a zero.
  const float held = row < p.n_rows ? value : 0.0;
  const float next = subgroupShuffleXor(held, 1);
  if ((row & 1) == 0 && row < p.n_rows && column < p.n_columns) y[at / 2] = half_pair(vec2(held, next));
#else
  if (row < p.n_rows && column < p.n_columns) y[at] = value;
#endif
}

void main() {
  const uint team = team_index();
  const uint lane = lane_index();
  const uint group = gl_WorkGroupID.x;
  const uint first_column = gl_WorkGroupID.y * kColumns;

  // Past the end the last column is computed again and not written.
  uint x_at[kColumns];
  [[unroll]] for (uint c = 0; c < kColumns; c++)
    x_at[c] = min(first_column + c, p.n_columns - 1) * p.x_stride_vec4;

  precise float gate_sum[kColumns];
  precise float up_sum[kColumns];
  [[unroll]] for (uint c = 0; c < kColumns; c++) gate_sum[c] = up_sum[c] = 0.0;

  for (uint chunk = team * kMatvecChunk; chunk < p.n_blocks; chunk += kTeams * kMatvecChunk) {
    for (uint first = chunk; first < chunk + kMatvecChunk; first += kAhead) {
      WeightBlock gate[kAhead];
      WeightBlock up[kAhead];
      [[unroll]] for (uint a = 0; a < kAhead; a++) {
        const uint block = min(first + a, p.n_blocks - 1);
        gate[a] = load_gate(group, block, p.n_blocks, lane);
        up[a] = load_up(group, block, p.n_blocks, lane);
      }
      [[unroll]] for (uint a = 0; a < kAhead; a++) {
        const uint block = first + a;
        if (block >= p.n_blocks) break;
#ifdef DOT
        const CodeBlock g = code_block(gate[a]);
        const CodeBlock u = code_block(up[a]);
        [[unroll]] for (uint c = 0; c < kColumns; c++) {
          const uint at = x_at[c] / 8 + block;
          const uvec4 codes[2] = uvec4[2](x[2 * at], x[2 * at + 1]);
          const vec2 scale = x_scales[at];
          gate_sum[c] = add_block(gate_sum[c], g, codes, scale);
          up_sum[c] = add_block(up_sum[c], u, codes, scale);
        }
#else
        [[unroll]] for (uint piece = 0; piece < kWeightBlock / 4; piece += kPiece) {
          vec4 g[kPiece];
          vec4 u[kPiece];
          [[unroll]] for (uint q = 0; q < kPiece; q++) {
            g[q] = weight_values(gate[a], piece + q);
            u[q] = weight_values(up[a], piece + q);
          }
          [[unroll]] for (uint c = 0; c < kColumns; c++)
            [[unroll]] for (uint q = 0; q < kPiece; q++) {
              const vec4 value = activation_values(x[x_at[c] + block * (kWeightBlock / 4) + piece + q]);
              [[unroll]] for (uint i = 0; i < 4; i++) {
                gate_sum[c] = fma(g[q][i], value[i], gate_sum[c]);
                up_sum[c] = fma(u[q][i], value[i], up_sum[c]);
              }
            }
        }
#endif
      }
    }
  }

  [[unroll]] for (uint first = 0; first < kColumns; first += kRound) {
    barrier();
    [[unroll]] for (uint c = 0; c < kRound; c++) {
      gate_partial[c * kThreads + team * kLanes + lane] = gate_sum[first + c];
      up_partial[c * kThreads + team * kLanes + lane] = up_sum[first + c];
    }
    barrier();
    for (uint c = team; c < kRound; c += kTeams) {
      precise float g = gate_partial[c * kThreads + lane];
      precise float u = up_partial[c * kThreads + lane];
      for (uint t = 1; t < kTeams; t++) {
        g += gate_partial[c * kThreads + t * kLanes + lane];
        u += up_partial[c * kThreads + t * kLanes + lane];
      }
      finish(group * kLanes + lane, first_column + first + c, gelu(g) * u);
    }
  }
}
