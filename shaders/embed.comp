#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// The first residual row: a token's embedding, scaled, or a soft token as it is.
//
//   h[t] = scale * table[token(t)]   or   soft[soft_row(t)]
//
// in    table  one part of the embedding matrix, type by -D WEIGHT_*
// in    soft   f32 [*, model_dim]
// out   h      f32 [rows, model_dim]; rows whose token lies in another part are left alone
// grid         (rows, 1, 1)
// twin         engine/reference/embed.h
#include "shaders/params/embed.h"

layout(constant_id = kEmbedSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kEmbedSpecLanes) in;

#include "include/weight.glsl"

PLANE(kEmbedBindQuants, Quants, uvec4, quants);
PLANE(kEmbedBindScales, Scales, uint, scales);
PLANE(kEmbedBindHigh, High, uvec2, high);
layout(set = 0, binding = kEmbedBindRowInfo) readonly buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kEmbedBindSoft) readonly buffer Soft { float soft[]; };
layout(set = 0, binding = kEmbedBindH) writeonly buffer H { float h[]; };
layout(push_constant) uniform Push { EmbedParams p; };

DECLARE_WEIGHT_LOAD(load_weight, quants, scales, high)

void main() {
  const uint t = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  const RowInfo info = infos[t];

  if (info.soft_row != kNoSoftRow) {
    if (p.first_token != 0) return;  // one part copies it
    for (uint i = lane; i < p.model_dim; i += kLanes)
      h[t * p.h_stride + i] = soft[info.soft_row * p.model_dim + i];
    return;
  }

  const uint row = uint(info.token) - p.first_token;
  if (uint(info.token) < p.first_token || row >= p.n_tokens) return;
  for (uint block = lane; block < p.n_blocks; block += kLanes) {
    const WeightBlock b = load_weight(row / kLanes, block, p.n_blocks, row % kLanes);
    [[unroll]] for (uint q = 0; q < kWeightBlock / 4; q++) {
      const uint at = block * kWeightBlock + 4 * q;
      if (at >= p.model_dim) break;  // a padded last block; model_dim is a multiple of 4
      const vec4 v = p.scale * weight_values(b, q);
      [[unroll]] for (uint i = 0; i < 4; i++) h[t * p.h_stride + at + i] = v[i];
    }
  }
}
