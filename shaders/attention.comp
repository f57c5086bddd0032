#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// Attention of one query head over the pages of its sequence, with a running softmax.
//
//   o[t,h] = sum_j softmax_j(q[t,h] . k[j]) v[j]     over the keys j that row t sees:
//   full     j <= position
//   sliding  position - window < j <= last_visible   (a vision block looks ahead to its end)
//
// Score scale is 1. Key tiles are pages and begin at multiples of kPageTokens from position 0, so a
// row's sums do not depend on the chunk it came in.
//
// in    q     f32 [rows, n_heads, key_dim (+ head_dim where folded)]
// out   o     f32, or f16 with -D ACT16, [rows, n_heads * head_dim]
// grid        (rows, n_heads, 1)
// twin        engine/reference/attention.h
#include "shaders/params/attention.h"

layout(constant_id = kAttentionSpecLanes) const uint kWorkgroup = 8;
layout(constant_id = kAttentionSpecHeadDim) const uint kHeadDim = 256;
layout(constant_id = kAttentionSpecKeyDim) const uint kKeyDim = 256;
layout(constant_id = kAttentionSpecFolded) const uint kFolded = 0;
layout(local_size_x_id = kAttentionSpecLanes) in;

#include "include/activation.glsl"
#include "include/kv_page.glsl"

layout(set = 0, binding = kAttentionBindQ) readonly buffer Q { vec4 q[]; };
layout(set = 0, binding = kAttentionBindRowInfo) readonly buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kAttentionBindPageTable) readonly buffer Tables { uint page_tables[]; };
layout(set = 0, binding = kAttentionBindKeys) readonly buffer Keys { KV_QUAD keys[]; };
layout(set = 0, binding = kAttentionBindValues) readonly buffer Values { KV_QUAD values[]; };
layout(set = 0, binding = kAttentionBindO) writeonly buffer O { ACTIVATION o[]; };
layout(push_constant) uniform Push { AttentionParams p; };

const uint kKeyQuads = kKeyDim / 4;
const uint kValueQuads = kHeadDim / 4;
const float kNothing = -3.0e38;  // below every score; exp() never sees it

shared float score[kPageTokens];
shared float weight[kPageTokens];
shared vec4 accumulator[kValueQuads];

float dot_key(const uint q_row, const uint page, const uint kv_head, const uint slot) {
  const uint key_row = kv_row(page, p.n_kv_heads, kv_head, slot, kKeyDim);
  precise vec4 sum = vec4(0.0);
  for (uint i = 0; i < kKeyQuads; i++) sum = fma(q[q_row + i], kv_values(keys[key_row + i]), sum);
  if (kFolded == 1) {
    const uint value_row = kv_row(page, p.n_kv_heads, kv_head, slot, kHeadDim);
    for (uint i = 0; i < kValueQuads; i++)
      sum = fma(q[q_row + kKeyQuads + i], kv_values(values[value_row + i]), sum);
  }
  precise const float total = (sum.x + sum.y) + (sum.z + sum.w);
  return total;
}

void main() {
  const uint t = gl_WorkGroupID.x;
  const uint head_ix = gl_WorkGroupID.y;
  const uint kv_head = head_ix / (p.n_heads / p.n_kv_heads);
  const uint lane = gl_LocalInvocationID.x;
  const RowInfo info = infos[t];
  const uint table = p.window == 0 ? info.full_pages : info.sliding_pages;
  const uint q_row = (t * p.n_heads + head_ix) * (kKeyQuads + (kFolded == 1 ? kValueQuads : 0));

  const uint first = p.window != 0 && info.position + 1 > p.window ? info.position + 1 - p.window : 0;
  const uint last = p.window == 0 ? info.position : info.last_visible;

  for (uint i = lane; i < kValueQuads; i += kWorkgroup) accumulator[i] = vec4(0.0);
  float running_max = kNothing;
  precise float running_sum = 0.0;

  for (uint tile = first / kPageTokens; tile <= last / kPageTokens; tile++) {
    const uint page = page_tables[table + tile];
    const uint begin = max(first, tile * kPageTokens) - tile * kPageTokens;
    const uint end = min(last, tile * kPageTokens + kPageTokens - 1) - tile * kPageTokens + 1;

    for (uint j = begin + lane; j < end; j += kWorkgroup) score[j] = dot_key(q_row, page, kv_head, j);
    barrier();
    float tile_max = running_max;
    for (uint j = begin; j < end; j++) tile_max = max(tile_max, score[j]);
    const float rescale = running_max == kNothing ? 0.0 : exp(running_max - tile_max);
    running_max = tile_max;
    for (uint j = begin + lane; j < end; j += kWorkgroup) weight[j] = exp(score[j] - tile_max);
    barrier();

    running_sum *= rescale;
    for (uint j = begin; j < end; j++) running_sum += weight[j];
    for (uint i = lane; i < kValueQuads; i += kWorkgroup) {
      precise vec4 sum = accumulator[i] * rescale;
      const uint value_row = kv_row(page, p.n_kv_heads, kv_head, 0, kHeadDim) + i;
      for (uint j = begin; j < end; j++)
        sum = fma(vec4(weight[j]), kv_values(values[value_row + j * kValueQuads]), sum);
      accumulator[i] = sum;
    }
    barrier();  // the next tile overwrites score and weight
  }

  const uint o_row = t * p.o_stride_vec4 + head_ix * kValueQuads;
  for (uint i = lane; i < kValueQuads; i += kWorkgroup)
    o[o_row + i] = to_activation(accumulator[i] / running_sum);
}
