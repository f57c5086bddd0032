#version 460
#extension GL_GOOGLE_include_directive : require
// y[i] = kFactor * x[i] + addend: shows bindings, push constants and specialization constants.
#include "tests/vk/test_params.h"

layout(constant_id = kAffineSpecWorkgroup) const uint kWorkgroup = 64;
layout(constant_id = kAffineSpecFactor) const uint kFactor = 1;
layout(local_size_x_id = kAffineSpecWorkgroup) in;
#if defined(ADDRESS)
#extension GL_EXT_buffer_reference : require
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words { uint at[]; };
#define AT(i) x.at[i]
#elif defined(TEXEL_WORDS)
layout(set = 0, binding = kAffineBindX) uniform utextureBuffer x;
#define AT(i) texelFetch(x, int(i) / TEXEL_WORDS)[i % TEXEL_WORDS]
#else
layout(set = 0, binding = kAffineBindX) readonly buffer X { uint x[]; };
#define AT(i) x[i]
#endif
layout(set = 0, binding = kAffineBindY) writeonly buffer Y { uint y[]; };
layout(push_constant) uniform Push {
  AffineParams p;
#ifdef ADDRESS
  Words x;
#endif
};

void main() {
#ifdef REVERSED
  const uint i = p.n - 1 - gl_GlobalInvocationID.x;
#else
  const uint i = gl_GlobalInvocationID.x;
#endif
  if (gl_GlobalInvocationID.x < p.n) y[i] = kFactor * AT(i) + p.addend;
}
