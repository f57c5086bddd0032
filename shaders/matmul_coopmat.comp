#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_cooperative_matrix : require

// The product of matmul.comp, with -D GATE_UP that of gate_up.comp, on matrix units: weights are decoded
// to float16 in shared memory, the sums are float32 (VK_KHR_cooperative_matrix).
//
// in, out       as in matmul.comp or gate_up.comp with -D ACT16
// grid          (output rows / tile rows, n_columns / kTileColumns) rounded up; with GATE_UP half of
//               the tile's rows belong to each matrix
// workgroup     kSubgroupRows * kSubgroupColumns full subgroups, each with its part of the tile
// precision     weights rounded to float16; f32 sums, over a fragment of kK in the device's order,
//               fragments in K order; independent of the row's place in the grid
// twin          engine/reference/matmul.h, engine/reference/gate_up.h
#include "shaders/params/matmul.h"
#include "shaders/params/step.h"

layout(constant_id = kMatmulSpecLanes) const uint kLanes = 8;
layout(constant_id = kMatmulSpecEpilogue) const uint kEpilogue = 0;
layout(constant_id = kCoopmatSpecM) const uint kM = 16;
layout(constant_id = kCoopmatSpecN) const uint kN = 16;
layout(constant_id = kCoopmatSpecK) const uint kK = 16;
layout(constant_id = kCoopmatSpecTileRows) const uint kTileRows = 128;
layout(constant_id = kCoopmatSpecTileColumns) const uint kTileColumns = 128;
layout(constant_id = kCoopmatSpecSubgroupRows) const uint kSubgroupRows = 4;
layout(constant_id = kCoopmatSpecSubgroupColumns) const uint kSubgroupColumns = 2;
layout(local_size_x_id = kCoopmatSpecWorkgroup) in;

#define ACT16
#define X_WORD uvec4  // 8 values
#include "include/activation.glsl"
#include "include/weight.glsl"
#include "include/product_tile.glsl"

const uint kWords = kWeightBlock / 8;  // of 8 values in a tile's row
// One word more than a block: rows stay 16-byte aligned and 8 neighbours lie on different banks.
const uint kStride = kWords + 1;
const uint kFragmentRows = kTileRows / (kSubgroupRows * kM);  // of one subgroup
const uint kFragmentColumns = kTileColumns / (kSubgroupColumns * kN);
#ifdef GATE_UP
const uint kOutputFragments = kFragmentRows / 2;  // along the rows; each has its other half behind it
#else
const uint kOutputFragments = kFragmentRows;
#endif

shared uvec4 weight_tile[kTileRows * kStride];
shared uvec4 x_tile[kTileColumns * kStride];
shared float out_tile[kSubgroupRows * kSubgroupColumns * kM * kN];

#define SUM coopmat<float, gl_ScopeSubgroup, kM, kN, gl_MatrixUseAccumulator>

// Decodes 16 weights of a row.
void store_weights(const uint row, const uint block, const uint first_quad) {
  const WeightBlock weights = tile_weights(row, block);
  [[unroll]] for (uint q = first_quad; q < first_quad + 4; q += 2)
    weight_tile[row * kStride + q / 2] =
        uvec4(to_activation(weight_values(weights, q)), to_activation(weight_values(weights, q + 1)));
}

void main() {
  const uint lane = gl_LocalInvocationIndex;
  const uint first_column = gl_WorkGroupID.y * kTileColumns;
  const uint subgroup_row = gl_SubgroupID / kSubgroupColumns;
  const uint own_column = gl_SubgroupID % kSubgroupColumns * kFragmentColumns * kN;

  // First weight row of each fragment.
  uint own_row[kFragmentRows];
  [[unroll]] for (uint r = 0; r < kFragmentRows; r++)
    own_row[r] = r / kOutputFragments * kTileOutputs +
                 (subgroup_row * kOutputFragments + r % kOutputFragments) * kM;

  SUM sum[kFragmentRows * kFragmentColumns];
  [[unroll]] for (uint i = 0; i < kFragmentRows * kFragmentColumns; i++) sum[i] = SUM(0.0);

  for (uint block = 0; block < p.n_blocks; block++) {
    for (uint i = lane; i < 2 * kTileRows; i += gl_WorkGroupSize.x) {
      if (i < kTileRows) {
        store_weights(i, block, 0);
      } else {
        store_weights(i - kTileRows, block, 4);
      }
    }
    for (uint i = lane; i < kTileColumns * kWords; i += gl_WorkGroupSize.x) {
      const uint column = i / kWords;
      const uint word = i % kWords;
      x_tile[column * kStride + word] = x[x_row(first_column + column) / 2 + block * kWords + word];
    }
    barrier();  // the tiles are whole

    [[unroll]] for (uint k = 0; k < kWeightBlock; k += kK) {
      coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA> weights[kFragmentRows];
      [[unroll]] for (uint r = 0; r < kFragmentRows; r++)
        coopMatLoad(weights[r], weight_tile, own_row[r] * kStride + k / 8, kStride,
                    gl_CooperativeMatrixLayoutRowMajor);
      [[unroll]] for (uint c = 0; c < kFragmentColumns; c++) {
        coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB> values;
        coopMatLoad(values, x_tile, (own_column + c * kN) * kStride + k / 8, kStride,
                    gl_CooperativeMatrixLayoutColumnMajor);
        [[unroll]] for (uint r = 0; r < kFragmentRows; r++)
          sum[r * kFragmentColumns + c] =
              coopMatMulAdd(weights[r], values, sum[r * kFragmentColumns + c]);
      }
    }
    barrier();  // and may be written again
  }

  // Which lane holds which element is the device's secret: fragments go out through shared memory.
  const uint own_out = gl_SubgroupID * kM * kN;
  [[unroll]] for (uint r = 0; r < kOutputFragments; r++) {
    [[unroll]] for (uint c = 0; c < kFragmentColumns; c++) {
      SUM values = sum[r * kFragmentColumns + c];
#ifdef GATE_UP
      const SUM up = sum[(r + kOutputFragments) * kFragmentColumns + c];
      for (uint i = 0; i < values.length(); i++) values[i] = gelu(values[i]) * up[i];
#endif
      coopMatStore(values, out_tile, own_out, kM, gl_CooperativeMatrixLayoutColumnMajor);
      subgroupBarrier();
      for (uint i = 2 * gl_SubgroupInvocationID; i < kM * kN; i += 2 * gl_SubgroupSize)
        write_pair(first_column + own_column + c * kN + i / kM,
                   gl_WorkGroupID.x * kTileOutputs + own_row[r] + i % kM,
                   vec2(out_tile[own_out + i], out_tile[own_out + i + 1]));
      subgroupBarrier();  // and the next fragment may come
    }
  }
}
