#version 460
#extension GL_GOOGLE_include_directive : require

// The input of a drafter's first product: a token's embedding, then a hidden row.
//
//   x[r] = concat(embedding[r], hidden[rows[r]])
//
// in    embedding  f32 [n_rows, target_dim], as embed.comp writes it
// in    hidden     f32, or f16 with -D HIDDEN16, [*, target_dim]
// in    rows       u32 [n_rows]
// out   x          f32, or f16 with -D ACT16, [n_rows, 2 * target_dim]
// grid             (n_rows, 1, 1)
// twin             engine/reference/draft_input.h
#include "shaders/params/draft.h"

layout(constant_id = kDraftInputSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kDraftInputSpecLanes) in;

#include "include/activation.glsl"

#ifdef HIDDEN16
#define HIDDEN ACTIVATION
vec4 hidden_values(const HIDDEN h) { return activation_values(h); }
#else
#define HIDDEN vec4
vec4 hidden_values(const HIDDEN h) { return h; }
#endif

layout(set = 0, binding = kDraftInputBindEmbedding) readonly buffer Embedding { vec4 embedding[]; };
layout(set = 0, binding = kDraftInputBindHidden) readonly buffer Hidden { HIDDEN hidden[]; };
layout(set = 0, binding = kDraftInputBindRows) readonly buffer Rows { uint rows[]; };
layout(set = 0, binding = kDraftInputBindX) writeonly buffer X { ACTIVATION x[]; };
layout(push_constant) uniform Push { DraftInputParams p; };

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint n = p.target_dim / 4;
  const uint embedding_row = row * p.embedding_stride_vec4;
  const uint hidden_row = rows[row] * p.hidden_stride_vec4;
  const uint x_row = row * p.x_stride_vec4;
  for (uint i = gl_LocalInvocationID.x; i < n; i += kLanes) {
    x[x_row + i] = to_activation(embedding[embedding_row + i]);
    x[x_row + n + i] = to_activation(hidden_values(hidden[hidden_row + i]));
  }
}
