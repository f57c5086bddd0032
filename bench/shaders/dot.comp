#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Dense dot products of four bytes without a load: the integer limit of a device.
//
// out   y     f32 [lanes], so that nothing can be left out
// grid        as many workgroups as keep the device busy
// operations  lanes * n_rounds * kDotChains * kDotUnroll * 8
#include "bench/shaders/limits.h"
#include "include/integer_dot.glsl"

layout(constant_id = kLimitSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kLimitSpecLanes) in;
layout(set = 0, binding = 0) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { LimitParams p; };

void main() {
  // Independent chains hide the latency of each other. Each factor is the chain's last sum, so that
  // no two products are alike.
  const uint factor = floatBitsToUint(p.factor);
  int chain[kDotChains];
  [[unroll]] for (uint c = 0; c < kDotChains; c++) chain[c] = int(gl_GlobalInvocationID.x + c);
  for (uint round = 0; round < p.n_rounds; round++)
    [[unroll]] for (uint u = 0; u < kDotUnroll; u++)
      [[unroll]] for (uint c = 0; c < kDotChains; c++)
        chain[c] = add_dot(uint(chain[c]), factor, chain[c]);
  int sum = 0;
  [[unroll]] for (uint c = 0; c < kDotChains; c++) sum += chain[c];
  y[gl_GlobalInvocationID.x] = float(sum);
}
