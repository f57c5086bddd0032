#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// A product's input rounded to 8 bit in blocks of 32, for matmul_dot.comp.
//
//   scale = max_i |x[i]| / 127      code[i] = x[i] / scale, to the nearest, ties to even
//
// in    x       f32, or f16 with -D ACT16, rows of n_blocks whole blocks one after another
// out   codes   signed bytes in the order of x, four to a word
// out   scales  f32 [rows, n_blocks, 2]: scale, and scale times the sum of the codes
// grid          (rows, n_blocks / kWorkgroup rounded up), an invocation to a block
// twin          engine/reference/quantise.h
#include "shaders/params/quantise.h"
#include "shaders/params/step.h"

layout(constant_id = kQuantiseSpecWorkgroup) const uint kWorkgroup = 8;
layout(local_size_x_id = kQuantiseSpecWorkgroup) in;

#include "include/activation.glsl"

layout(set = 0, binding = kQuantiseBindX) readonly buffer X { ACTIVATION x[]; };
layout(set = 0, binding = kQuantiseBindCodes) writeonly buffer Codes { uvec4 codes[]; };
layout(set = 0, binding = kQuantiseBindScales) writeonly buffer Scales { vec2 scales[]; };
layout(push_constant) uniform Push { QuantiseParams p; };

const uint kQuads = kWeightBlock / 4;

void main() {
  const uint block_of_row = gl_WorkGroupID.y * kWorkgroup + gl_LocalInvocationID.x;
  if (block_of_row >= p.n_blocks) return;
  const uint block = gl_WorkGroupID.x * p.n_blocks + block_of_row;

  vec4 values[kQuads];
  vec4 largest = vec4(0.0);
  [[unroll]] for (uint q = 0; q < kQuads; q++) {
    values[q] = activation_values(x[block * kQuads + q]);
    largest = max(largest, abs(values[q]));
  }
  // The floor lets a block of zeros be divided.
  const float most = max(max(largest.x, largest.y), max(largest.z, largest.w));
  const float scale = max(most / 127.0, 1.0e-12);

  ivec4 sums = ivec4(0);
  uint words[kQuads];
  [[unroll]] for (uint q = 0; q < kQuads; q++) {
    const ivec4 code = ivec4(clamp(roundEven(values[q] / scale), -127.0, 127.0));
    sums += code;
    const uvec4 bytes = uvec4(code) & 255;
    words[q] = bytes.x | (bytes.y << 8) | (bytes.z << 16) | (bytes.w << 24);
  }
  codes[2 * block] = uvec4(words[0], words[1], words[2], words[3]);
  codes[2 * block + 1] = uvec4(words[4], words[5], words[6], words[7]);
  scales[block] = vec2(scale, scale * float(sums.x + sums.y + sums.z + sums.w));
}
