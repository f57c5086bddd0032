#version 460
#extension GL_GOOGLE_include_directive : require

// LayerNorm of a patch's pixels (docs/model.md, vision embedder, LN1).
//
//   y[r,i] = (x[r,i] - mean) / sqrt(variance + epsilon) * weight[i] + bias[i]     population variance
//
// in    x             f32 [patches, row_size]
// out   y             f32, or f16 with -D ACT16
// grid                one workgroup per patch
// twin                engine/reference/patch_norm.h
#include "shaders/params/norm.h"

layout(constant_id = kNormSpecWorkgroup) const uint kWorkgroup = 8;
layout(local_size_x_id = kNormSpecWorkgroup) in;

#include "include/activation.glsl"
#include "include/workgroup_sum.glsl"

layout(set = 0, binding = kPatchNormBindX) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = kPatchNormBindWeight) readonly buffer Weight { vec4 weight[]; };
layout(set = 0, binding = kPatchNormBindBias) readonly buffer Bias { vec4 bias[]; };
layout(set = 0, binding = kPatchNormBindY) writeonly buffer Y { ACTIVATION y[]; };
layout(push_constant) uniform Push { PatchNormParams p; };

#include "include/row_moments.glsl"

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint n = p.row_size / 4;
  const uint x_row = gl_WorkGroupID.x * (p.x_stride / 4);
  const uint y_row = gl_WorkGroupID.x * p.y_stride_vec4;

  const vec2 moments = row_moments(x_row, n, p.row_size, p.epsilon);
  const float mean = moments.x;
  const float scale = moments.y;

  for (uint i = lane; i < n; i += kWorkgroup)
    y[y_row + i] = to_activation((x[x_row + i] - mean) * scale * weight[i] + bias[i]);
}
