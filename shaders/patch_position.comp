#version 460
#extension GL_GOOGLE_include_directive : require

// From a patch's dense features to the input of the vision projection.
//
//   u = layer_norm(x[r]; weight2, bias2) + table_x[column(r)] + table_y[row(r)]
//   u = layer_norm(u; weight3, bias3)
//   y[r] = u / sqrt(mean(u^2) + rms_epsilon)
//
// inout x      f32 [patches, row_size]; holds u on the way
// in    table  f32, positions of both axes, table_stride apart
// out   y      f32, or f16 with -D ACT16
// grid         one workgroup per patch
// twin         engine/reference/patch_position.h
#include "shaders/params/norm.h"

layout(constant_id = kNormSpecWorkgroup) const uint kWorkgroup = 8;
layout(local_size_x_id = kNormSpecWorkgroup) in;

#include "include/activation.glsl"
#include "include/workgroup_sum.glsl"

layout(set = 0, binding = kPatchPositionBindX) buffer X { vec4 x[]; };
layout(set = 0, binding = kPatchPositionBindWeight2) readonly buffer Weight2 { vec4 weight2[]; };
layout(set = 0, binding = kPatchPositionBindBias2) readonly buffer Bias2 { vec4 bias2[]; };
layout(set = 0, binding = kPatchPositionBindTable) readonly buffer Table { vec4 table[]; };
layout(set = 0, binding = kPatchPositionBindWeight3) readonly buffer Weight3 { vec4 weight3[]; };
layout(set = 0, binding = kPatchPositionBindBias3) readonly buffer Bias3 { vec4 bias3[]; };
layout(set = 0, binding = kPatchPositionBindY) writeonly buffer Y { ACTIVATION y[]; };
layout(push_constant) uniform Push { PatchPositionParams p; };

#include "include/row_moments.glsl"

void main() {
  const uint lane = gl_LocalInvocationID.x;
  const uint n = p.row_size / 4;
  const uint patch_ix = p.first_patch + gl_WorkGroupID.x;
  const uint x_row = gl_WorkGroupID.x * (p.x_stride / 4);
  const uint at_x = (patch_ix % p.columns) * (p.table_stride / 4);
  const uint at_y = (p.table_y_offset + (patch_ix / p.columns) * p.table_stride) / 4;

  const vec2 m2 = row_moments(x_row, n, p.row_size, p.epsilon);
  for (uint i = lane; i < n; i += kWorkgroup)
    x[x_row + i] = ((x[x_row + i] - m2.x) * m2.y * weight2[i] + bias2[i]) + table[at_x + i] + table[at_y + i];

  const vec2 m3 = row_moments(x_row, n, p.row_size, p.epsilon);
  precise float squares = 0.0;
  for (uint i = lane; i < n; i += kWorkgroup) {
    const vec4 u = (x[x_row + i] - m3.x) * m3.y * weight3[i] + bias3[i];
    x[x_row + i] = u;
    squares += dot(u, u);
  }
  const float scale = 1.0 / sqrt(workgroup_sum(squares) / float(p.row_size) + p.rms_epsilon);

  for (uint i = lane; i < n; i += kWorkgroup)
    y[gl_WorkGroupID.x * p.y_stride_vec4 + i] = to_activation(x[x_row + i] * scale);
}
