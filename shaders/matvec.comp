#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_KHR_shader_subgroup_basic : require

// matmul.comp for a graphics card and few activation rows: the weights are read once for up to 16 of
// them, and the blocks of a row are shared out among the subgroups of a workgroup, so that a small
// matrix keeps a card busy too.
//
//   y[c, y_offset + r] = epilogue(sum_k weight[r,k] * x[column(c), k])
//
// With -D DOT activations are what quantise.comp has rounded, and blocks are multiplied by integer dot
// products (include/weight_bytes.glsl).
//
// in, out       as in matmul.comp, with DOT as in matmul_dot.comp
// grid          (output rows / (kLanes * kRows), n_columns / kColumns) rounded up
// precision     f32 sums: each team's in K order, then the teams' in their order; independent of
//               kRows, kColumns and the grid
// twin          engine/reference/matmul.h
#include "shaders/params/matmul.h"
#include "shaders/params/matvec.h"
#include "shaders/params/step.h"

layout(constant_id = kMatvecSpecThreads) const uint kThreads = 256;
layout(constant_id = kMatvecSpecLanes) const uint kLanes = 32;
layout(constant_id = kMatvecSpecRows) const uint kRows = 1;
layout(constant_id = kMatvecSpecColumns) const uint kColumns = 1;
layout(constant_id = kMatvecSpecPiece) const uint kPiece = 4;
layout(constant_id = kMatvecSpecEpilogue) const uint kEpilogue = 0;
layout(local_size_x_id = kMatvecSpecThreads) in;

#include "include/activation.glsl"
#include "include/weight.glsl"
#include "include/teams.glsl"
#ifdef DOT
#include "include/integer_dot.glsl"
#include "include/weight_bytes.glsl"
#endif

layout(set = 0, binding = kMatmulBindQuants) restrict readonly buffer Quants { uvec4 quants[]; };
layout(set = 0, binding = kMatmulBindScales) restrict readonly buffer Scales { uint scales[]; };
layout(set = 0, binding = kMatmulBindHigh) restrict readonly buffer High { uvec2 high[]; };
#ifdef DOT
layout(set = 0, binding = kMatmulBindX) restrict readonly buffer X { uvec4 x[]; };  // 16 codes
layout(set = 0, binding = kMatmulBindings) restrict readonly buffer XScales { vec2 x_scales[]; };
#else
layout(set = 0, binding = kMatmulBindX) restrict readonly buffer X { ACTIVATION x[]; };
#endif
layout(set = 0, binding = kMatmulBindY) restrict writeonly buffer Y { float y[]; };
layout(set = 0, binding = kMatmulBindRows) restrict readonly buffer Rows { uint rows[]; };
layout(set = 0, binding = kMatmulBindBias) restrict readonly buffer Bias { float bias[]; };
layout(push_constant) uniform Push { MatmulParams p; };

DECLARE_WEIGHT_LOAD(load_weight, quants, scales, high)

const uint kSums = kRows * kColumns;
const uint kRound = kSums < 8 ? kSums : 8;  // sums of a lane that meet at once
shared float partial[kRound * kThreads];

void finish(const uint row, const uint column, float value) {
  if (row >= p.n_rows || column >= p.n_columns) return;
  if (kEpilogue == kEpilogueBias) value += bias[row];
  if (kEpilogue == kEpilogueSoftCap)
    value = p.soft_cap * tanh(clamp(value / p.soft_cap, -20.0, 20.0));
  y[column * p.y_stride + p.y_offset + row] = value;
}

void main() {
  const uint team = team_index();
  const uint lane = lane_index();
  const uint last_group = (p.n_rows + kLanes - 1) / kLanes - 1;
  const uint first_group = gl_WorkGroupID.x * kRows;
  const uint first_column = gl_WorkGroupID.y * kColumns;

  // Past the end the last group or column is computed again and not written.
  uint group[kRows];
  [[unroll]] for (uint r = 0; r < kRows; r++) group[r] = min(first_group + r, last_group);
  uint x_at[kColumns];
  [[unroll]] for (uint c = 0; c < kColumns; c++) {
    const uint column = min(first_column + c, p.n_columns - 1);
    x_at[c] = (p.gather == 1 ? rows[column] : column) * p.x_stride_vec4;
  }

  precise float sum[kSums];
  [[unroll]] for (uint i = 0; i < kSums; i++) sum[i] = 0.0;

  for (uint chunk = team * kMatvecChunk; chunk < p.n_blocks; chunk += kTeams * kMatvecChunk) {
    for (uint first = chunk; first < chunk + kMatvecChunk; first += kAhead) {
      WeightBlock weight[kAhead * kRows];
      [[unroll]] for (uint a = 0; a < kAhead; a++)
        [[unroll]] for (uint r = 0; r < kRows; r++)
          weight[a * kRows + r] = load_weight(group[r], min(first + a, p.n_blocks - 1), p.n_blocks, lane);
      [[unroll]] for (uint a = 0; a < kAhead; a++) {
        const uint block = first + a;
        if (block >= p.n_blocks) break;
#ifdef DOT
        CodeBlock w[kRows];
        [[unroll]] for (uint r = 0; r < kRows; r++) w[r] = code_block(weight[a * kRows + r]);
        [[unroll]] for (uint c = 0; c < kColumns; c++) {
          const uint at = x_at[c] / 8 + block;
          const uvec4 codes[2] = uvec4[2](x[2 * at], x[2 * at + 1]);
          const vec2 scale = x_scales[at];
          [[unroll]] for (uint r = 0; r < kRows; r++)
            sum[r * kColumns + c] = add_block(sum[r * kColumns + c], w[r], codes, scale);
        }
#else
        [[unroll]] for (uint piece = 0; piece < kWeightBlock / 4; piece += kPiece) {
          vec4 w[kRows * kPiece];
          [[unroll]] for (uint r = 0; r < kRows; r++)
            [[unroll]] for (uint q = 0; q < kPiece; q++)
              w[r * kPiece + q] = weight_values(weight[a * kRows + r], piece + q);
          [[unroll]] for (uint c = 0; c < kColumns; c++)
            [[unroll]] for (uint q = 0; q < kPiece; q++) {
              const vec4 value = activation_values(x[x_at[c] + block * (kWeightBlock / 4) + piece + q]);
              [[unroll]] for (uint r = 0; r < kRows; r++)
                [[unroll]] for (uint i = 0; i < 4; i++)
                  sum[r * kColumns + c] = fma(w[r * kPiece + q][i], value[i], sum[r * kColumns + c]);
            }
        }
#endif
      }
    }
  }

  [[unroll]] for (uint first = 0; first < kSums; first += kRound) {
    barrier();
    [[unroll]] for (uint i = 0; i < kRound; i++)
      if (first + i < kSums) partial[i * kThreads + team * kLanes + lane] = sum[first + i];
    barrier();
    for (uint i = team; i < kRound && first + i < kSums; i += kTeams) {
      precise float value = partial[i * kThreads + lane];
      for (uint t = 1; t < kTeams; t++) value += partial[i * kThreads + t * kLanes + lane];
      const uint at = first + i;
      finish((first_group + at / kColumns) * kLanes + lane, first_column + at % kColumns, value);
    }
  }
}
