#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Dense float32 multiply-adds without a load: the arithmetic limit of a device.
//
// out   y     f32 [lanes], so that nothing can be left out
// grid        as many workgroups as keep the device busy
// operations  lanes * n_rounds * kFmaChains * kFmaUnroll * 2
#include "bench/shaders/limits.h"

layout(constant_id = kLimitSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kLimitSpecLanes) in;
layout(set = 0, binding = 0) writeonly buffer Y { float y[]; };
layout(push_constant) uniform Push { LimitParams p; };

void main() {
  // Independent chains hide the latency of each other.
  float chain[kFmaChains];
  [[unroll]] for (uint c = 0; c < kFmaChains; c++)
    chain[c] = float(gl_GlobalInvocationID.x + c) * 1.0e-6;
  for (uint round = 0; round < p.n_rounds; round++)
    [[unroll]] for (uint u = 0; u < kFmaUnroll; u++)
      [[unroll]] for (uint c = 0; c < kFmaChains; c++)
        chain[c] = fma(chain[c], p.factor, p.addend);
  float sum = 0.0;
  [[unroll]] for (uint c = 0; c < kFmaChains; c++) sum += chain[c];
  y[gl_GlobalInvocationID.x] = sum;
}
