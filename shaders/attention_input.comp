#version 460
#extension GL_GOOGLE_include_directive : require

// Between the projections and attention: per-head norms, rotation, the store into the KV pages.
//
//   query head   q = rope(norm(q0, q_norm))          -> q [rows, n_heads, key_dim (+ head_dim)]
//   key head     k = rope(norm(k0, k_norm))          -> key plane of the row's page
//   value head   v = v0 / sqrt(mean(v0^2) + epsilon) -> value plane
//
// Folded layers keep of k only what rotates; the query has a second part, q * k_norm with zeros where
// it rotates, to be multiplied with the values (params/attention.h).
//
// in    qkv   f32 [rows, qkv_stride], raw projections
// in    rope  f32 [rows, kRotated, 2], cosine and sine of each rotated pair
// grid        (rows, n_heads + 2 * n_kv_heads, 1)
// twin        engine/reference/attention_input.h
#include "shaders/params/attention.h"

layout(constant_id = kAttentionSpecLanes) const uint kWorkgroup = 8;
layout(constant_id = kAttentionSpecHeadDim) const uint kHeadDim = 256;
layout(constant_id = kAttentionSpecKeyDim) const uint kKeyDim = 256;
layout(constant_id = kAttentionSpecFolded) const uint kFolded = 0;
layout(constant_id = kAttentionSpecRotated) const uint kRotated = 128;
layout(local_size_x_id = kAttentionSpecLanes) in;

#define KV_STORES
#define KV_KEYS kAttentionInputBindKeys
#define KV_VALUES kAttentionInputBindValues
#define KV_BINDINGS kAttentionInputBindings
#include "include/kv_planes.glsl"
#include "include/workgroup_sum.glsl"

layout(set = 0, binding = kAttentionInputBindQkv) readonly buffer Qkv { float qkv[]; };
layout(set = 0, binding = kAttentionInputBindQNorm) readonly buffer QNorm { float q_norm[]; };
layout(set = 0, binding = kAttentionInputBindKNorm) readonly buffer KNorm { float k_norm[]; };
layout(set = 0, binding = kAttentionInputBindRowInfo) readonly buffer Infos { RowInfo infos[]; };
layout(set = 0, binding = kAttentionInputBindRope) readonly buffer Rope { vec2 rope[]; };
layout(set = 0, binding = kAttentionInputBindPageTable) readonly buffer Tables { uint page_tables[]; };
layout(set = 0, binding = kAttentionInputBindQ) writeonly buffer Q { vec4 q[]; };
layout(push_constant) uniform Push { AttentionInputParams p; };

shared float head[kHeadDim];  // the normalised head

// The rotated value of dimension d.
float rotated(const uint t, const uint d) {
  const uint half_dim = kHeadDim / 2;
  const uint pair = d % half_dim;
  if (pair >= kRotated) return head[d];
  const vec2 turn = rope[t * kRotated + pair];
  precise const float value = d < half_dim ? head[pair] * turn.x - head[pair + half_dim] * turn.y
                                           : head[pair + half_dim] * turn.x + head[pair] * turn.y;
  return value;
}

// Element e of the key plane: which dimension it is, kHeadDim for padding.
uint plane_dimension(const uint e) {
  if (kFolded == 0) return e;
  if (e < kRotated) return e;
  return e < 2 * kRotated ? e - kRotated + kHeadDim / 2 : kHeadDim;
}

vec4 plane_values(const uint t, const uint quad) {
  vec4 v;
  for (uint i = 0; i < 4; i++) {
    const uint d = plane_dimension(4 * quad + i);
    v[i] = d < kHeadDim ? rotated(t, d) : 0.0;
  }
  return v;
}

void main() {
  const uint t = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  const bool is_query = gl_WorkGroupID.y < p.n_heads;
  const bool is_value = gl_WorkGroupID.y >= p.n_heads + p.n_kv_heads;
  const uint head_ix = is_query ? gl_WorkGroupID.y
                                : (gl_WorkGroupID.y - p.n_heads) % p.n_kv_heads;
  const uint from = t * p.qkv_stride + head_ix * kHeadDim +
                    (is_query ? 0 : is_value ? p.v_offset : p.k_offset);

  precise float squares = 0.0;
  for (uint d = lane; d < kHeadDim; d += kWorkgroup) squares += qkv[from + d] * qkv[from + d];
  const float scale = 1.0 / sqrt(workgroup_sum(squares) / float(kHeadDim) + p.epsilon);
  for (uint d = lane; d < kHeadDim; d += kWorkgroup) {
    float v = qkv[from + d] * scale;
    if (is_query) v *= q_norm[d];
    else if (!is_value) v *= k_norm[d];
    head[d] = v;
  }
  barrier();

  if (is_query) {
    const uint q_quads = (kKeyDim + (kFolded == 1 ? kHeadDim : 0)) / 4;
    const uint q_row = (t * p.n_heads + head_ix) * q_quads;
    for (uint i = lane; i < kKeyDim / 4; i += kWorkgroup) q[q_row + i] = plane_values(t, i);
    if (kFolded == 1) {
      for (uint i = lane; i < kHeadDim / 4; i += kWorkgroup) {
        vec4 v;
        for (uint j = 0; j < 4; j++) {
          const uint d = 4 * i + j;
          v[j] = d % (kHeadDim / 2) < kRotated ? 0.0 : head[d] * k_norm[d];
        }
        q[q_row + kKeyDim / 4 + i] = v;
      }
    }
    return;
  }

  const RowInfo info = infos[t];
  const uint table = p.full == 1 ? info.full_pages : info.sliding_pages;
  const uint page = page_tables[table + info.position / kPageTokens];
  const uint slot = info.position % kPageTokens;
  if (is_value) {
    const uint row = kv_row(page, p.n_kv_heads, head_ix, slot, kHeadDim);
    for (uint i = lane; i < kHeadDim / 4; i += kWorkgroup)
      store_value(row + i, to_kv(vec4(head[4 * i], head[4 * i + 1], head[4 * i + 2], head[4 * i + 3])));
  } else {
    const uint row = kv_row(page, p.n_kv_heads, head_ix, slot, kKeyDim);
    for (uint i = lane; i < kKeyDim / 4; i += kWorkgroup) store_key(row + i, to_kv(plane_values(t, i)));
  }
}
