#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Reads a buffer once, 16 bytes a lane, neighbouring lanes side by side: what the weight kernels can
// at most reach.
//
// in    x     uvec4 [n_workgroups, n_rounds, kReadUnroll, lane]
// out   y     u32 [lanes], so that nothing can be left out
#include "bench/shaders/limits.h"

layout(constant_id = kLimitSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kLimitSpecLanes) in;
layout(set = 0, binding = 0) writeonly buffer Y { uint y[]; };
layout(set = 0, binding = 1) readonly buffer X { uvec4 x[]; };
layout(push_constant) uniform Push { LimitParams p; };

void main() {
  uint at = gl_WorkGroupID.x * p.n_rounds * kReadUnroll * kLanes + gl_LocalInvocationID.x;
  uvec4 sum = uvec4(0);
  for (uint round = 0; round < p.n_rounds; round++) {
    [[unroll]] for (uint u = 0; u < kReadUnroll; u++) sum ^= x[at + u * kLanes];
    at += kReadUnroll * kLanes;
  }
  y[gl_GlobalInvocationID.x] = sum.x ^ sum.y ^ sum.z ^ sum.w;
}
