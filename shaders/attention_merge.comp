#version 460
#extension GL_GOOGLE_include_directive : require

// Adds up what attention_tile.comp found in the key ranges of generated rows, in the ranges' order:
//
//   m = max_r m_r    o = sum_r exp(m_r - m) a_r / sum_r exp(m_r - m) s_r
//
// in    partials  f32 [row of the pass, n_heads, max_ranges, 4 + head_dim]: m, s, 0, 0, a
// out   o     f32, or f16 with -D ACT16, [rows, n_heads * head_dim]
// grid        (rows of the pass, n_heads, 1)
// twin        engine/reference/attention.h, together with attention_tile.comp
#include "shaders/params/attention.h"

layout(constant_id = kAttentionSpecLanes) const uint kWorkgroup = 64;
layout(constant_id = kAttentionSpecHeadDim) const uint kHeadDim = 256;
layout(local_size_x_id = kAttentionSpecLanes) in;

#include "include/activation.glsl"
#include "include/key_range.glsl"

layout(set = 0, binding = kAttentionBindRowInfo) readonly buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kAttentionBindO) writeonly buffer O { ACTIVATION o[]; };
layout(set = 0, binding = kAttentionBindPartials) readonly buffer Partials { vec4 partials[]; };
layout(push_constant) uniform Push { AttentionTileParams p; };

const uint kValueQuads = kHeadDim / 4;
const uint kRecord = 1 + kValueQuads;

void main() {
  const uint row = p.first_row + gl_WorkGroupID.x;
  const uint head = gl_WorkGroupID.y;
  const uint position = infos[row].position;
  const bool sliding = p.window != 0;
  const uint first = sliding && position + 1 > p.window ? position + 1 - p.window : 0;
  const uint last = sliding ? infos[row].last_visible : position;
  const uint n_ranges =
      min(key_range_of(last, sliding) - key_range_of(first, sliding) + 1, p.max_ranges);
  const uint at = (gl_WorkGroupID.x * p.n_heads + head) * p.max_ranges * kRecord;

  float highest = partials[at].x;
  for (uint r = 1; r < n_ranges; r++) highest = max(highest, partials[at + r * kRecord].x);

  for (uint i = gl_LocalInvocationID.x; i < kValueQuads; i += kWorkgroup) {
    precise float weights = 0.0;
    precise vec4 sum = vec4(0.0);
    for (uint r = 0; r < n_ranges; r++) {
      const vec4 range = partials[at + r * kRecord];
      const float share = exp(range.x - highest);
      weights = fma(share, range.y, weights);
      sum = fma(vec4(share), partials[at + r * kRecord + 1 + i], sum);
    }
    o[row * p.o_stride_vec4 + head * kValueQuads + i] = to_activation(sum / weights);
  }
}
