#version 460
#extension GL_GOOGLE_include_directive : require

// The end of a branch and the start of the next one.
//
//   h[r] = (h[r] + norm(x[r], post_weight)) * layer_scalar
//   y[r] = norm(h[r], next_weight)
//
// in    x             f32 [rows, row_size], the branch's output
// inout h             f32 [rows, row_size], the residual stream
// out   y             f32, or f16 with -D ACT16: the next branch's input
// grid                one workgroup per row
// twin                engine/reference/norm_residual.h
#include "shaders/params/norm.h"

layout(constant_id = kNormSpecWorkgroup) const uint kWorkgroup = 8;
layout(local_size_x_id = kNormSpecWorkgroup) in;

#include "include/activation.glsl"
#include "include/workgroup_sum.glsl"

layout(set = 0, binding = kNormResidualBindX) readonly buffer X { vec4 x[]; };
layout(set = 0, binding = kNormResidualBindPostWeight) readonly buffer Post { vec4 post_weight[]; };
layout(set = 0, binding = kNormResidualBindH) buffer H { vec4 h[]; };
layout(set = 0, binding = kNormResidualBindNextWeight) readonly buffer Next { vec4 next_weight[]; };
layout(set = 0, binding = kNormResidualBindY) writeonly buffer Y { ACTIVATION y[]; };
layout(push_constant) uniform Push { NormResidualParams p; };

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint n = p.row_size / 4;
  const uint x_row = gl_WorkGroupID.x * (p.x_stride / 4);
  const uint h_row = gl_WorkGroupID.x * (p.h_stride / 4);
  const uint y_row = gl_WorkGroupID.x * p.y_stride_vec4;

  precise float squares = 0.0;
  for (uint i = lane; i < n; i += kWorkgroup) squares += dot(x[x_row + i], x[x_row + i]);
  const float post_scale = 1.0 / sqrt(workgroup_sum(squares) / float(p.row_size) + p.epsilon);

  // Each invocation reads back only what it wrote itself.
  precise float h_squares = 0.0;
  for (uint i = lane; i < n; i += kWorkgroup) {
    const vec4 sum = (h[h_row + i] + x[x_row + i] * post_scale * post_weight[i]) * p.layer_scalar;
    h[h_row + i] = sum;
    h_squares += dot(sum, sum);
  }
  const float next_scale = 1.0 / sqrt(workgroup_sum(h_squares) / float(p.row_size) + p.epsilon);

  for (uint i = lane; i < n; i += kWorkgroup)
    y[y_row + i] = to_activation(h[h_row + i] * next_scale * next_weight[i]);
}
