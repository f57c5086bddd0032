#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_cooperative_matrix : require

// Dense products of cooperative matrices without a load: what matrix units can at most do.
//
// out   y     f32 [kM * kN], so that nothing can be left out
// grid        as many workgroups as keep the device busy
// operations  subgroups * n_rounds * kCoopmatChains * 2 * kM * kN * kK
#include "bench/shaders/limits.h"

layout(constant_id = kLimitSpecM) const uint kM = 16;
layout(constant_id = kLimitSpecN) const uint kN = 16;
layout(constant_id = kLimitSpecK) const uint kK = 16;
layout(local_size_x_id = kLimitSpecLanes) in;
layout(set = 0, binding = 0) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { LimitParams p; };

#define SUM coopmat<float, gl_ScopeSubgroup, kM, kN, gl_MatrixUseAccumulator>

void main() {
  const float16_t factor = float16_t(p.factor);
  const coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA> a =
      coopmat<float16_t, gl_ScopeSubgroup, kM, kK, gl_MatrixUseA>(factor);
  const coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB> b =
      coopmat<float16_t, gl_ScopeSubgroup, kK, kN, gl_MatrixUseB>(factor);
  // Independent chains hide the latency of each other.
  SUM sum[kCoopmatChains];
  [[unroll]] for (uint c = 0; c < kCoopmatChains; c++) sum[c] = SUM(float(c) + p.addend);
  for (uint round = 0; round < p.n_rounds; round++)
    [[unroll]] for (uint c = 0; c < kCoopmatChains; c++) sum[c] = coopMatMulAdd(a, b, sum[c]);
  [[unroll]] for (uint c = 1; c < kCoopmatChains; c++) sum[0] += sum[c];
  coopMatStore(sum[0], y, 0, kN, gl_CooperativeMatrixLayoutRowMajor);
}
