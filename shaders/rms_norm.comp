#version 460
#extension GL_GOOGLE_include_directive : require

// RMSNorm into the input of a product.
//
//   y[r,i] = x[r,i] / sqrt(mean_j(x[r,j]^2) + epsilon) * weight[i]      (kWeighted 0: without weight)
//
// in    x       f32 [rows, row_size], rows x_stride apart
// in    weight  f32 [row_size], as the file stores it (no 1 + w)
// out   y       f32, or f16 with -D ACT16
// grid          one workgroup per row
// twin          engine/reference/rms_norm.h
#include "shaders/params/norm.h"

layout(constant_id = kNormSpecWorkgroup) const uint kWorkgroup = 8;
layout(constant_id = kNormSpecWeighted) const uint kWeighted = 1;
layout(local_size_x_id = kNormSpecWorkgroup) in;

#include "include/activation.glsl"
#include "include/workgroup_sum.glsl"

layout(set = 0, binding = kRmsNormBindX) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = kRmsNormBindWeight) readonly buffer Weight { vec4 weight[]; };
layout(set = 0, binding = kRmsNormBindY) writeonly buffer Y { ACTIVATION y[]; };
layout(push_constant) uniform Push { RmsNormParams p; };

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint x_row = gl_WorkGroupID.x * (p.x_stride / 4);
  const uint y_row = gl_WorkGroupID.x * p.y_stride_vec4;

  precise float squares = 0.0;
  for (uint i = lane; i < p.row_size / 4; i += kWorkgroup) squares += dot(x[x_row + i], x[x_row + i]);
  const float scale = 1.0 / sqrt(workgroup_sum(squares) / float(p.row_size) + p.epsilon);

  for (uint i = lane; i < p.row_size / 4; i += kWorkgroup) {
    vec4 v = x[x_row + i] * scale;
    if (kWeighted == 1) v *= weight[i];
    y[y_row + i] = to_activation(v);
  }
}
