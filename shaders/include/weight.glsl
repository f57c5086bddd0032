// One block of 32 weights of one row, from the planes that the loader laid out (engine/forward/
// weight_layout.h). Rows stand in groups of kLanes; consecutive lanes read consecutive 16 bytes, or,
// with WORDS or ADDRESSES, consecutive words of each of the four, then of two in `high`:
//   quants  uvec4 [group, block, kQuantWords, lane]
//   scales  uint  per type, lane innermost
//   high    uvec2 [group, block, lane], Q6_K alone
// The includer names its three planes in DECLARE_WEIGHT_LOAD, below, which defines the function that
// loads a block of them.
// Values equal the file's blocks decoded in float32 (docs/model.md, block formats).
#include "include/plane.glsl"

#if defined(WEIGHT_F32)
const uint kQuantWords = 8;
#elif defined(WEIGHT_F16) || defined(WEIGHT_BF16)
const uint kQuantWords = 4;
#elif defined(WEIGHT_Q8_0) || defined(WEIGHT_AFFINE8)
const uint kQuantWords = 2;
#else
const uint kQuantWords = 1;
#endif

struct WeightBlock {
  uvec4 quants[kQuantWords];
#if defined(WEIGHT_Q6_K)
  uvec2 high;
#endif
  vec2 scale;  // of the first and the second 16 weights
  vec2 shift;  // added after scaling: Q4_K and the converted types
};

float half_at(const uint word, const uint which) {
  const vec2 pair = unpackHalf2x16(word);
  return which == 0 ? pair.x : pair.y;
}

int signed_byte(const uint word, const uint which) {
  return bitfieldExtract(int(word), int(8 * which), 8);
}

#if defined(WEIGHT_Q4_K)
// Scale and minimum of sub-block k from the 12 packed bytes in words 1..3 (docs/model.md, Q4_K).
uint packed_byte(const uvec3 p, const uint i) { return bitfieldExtract(p[i / 4], int(8 * (i % 4)), 8); }
vec2 scale_and_minimum(const uvec3 p, const uint k) {
  if (k < 4) return vec2(packed_byte(p, k) & 63, packed_byte(p, k + 4) & 63);
  const uint low = packed_byte(p, k + 4);
  return vec2((low & 15) | ((packed_byte(p, k - 4) >> 6) << 4), (low >> 4) | ((packed_byte(p, k) >> 6) << 4));
}
#endif

#if defined(WEIGHT_Q4_0) || defined(WEIGHT_Q6_K)
// A code as a float without moving it to the word's end and converting it: its bits stand in the
// mantissa under the exponent at which bit `at` counts 1, so the float is base(at) + code. Shifts by
// a constant serve several codes of a word, and a conversion is slow on many devices.
float over_base(const uint word, const uint mask, const uint at) {
  return uintBitsToFloat((word & (mask << at)) | ((150u - at) << 23));
}
float base(const uint at) { return float(1u << (23u - at)); }
#endif

#if defined(WEIGHT_Q6_K)
// The same of a code of six bits: its low four at `at` of a word, its high two above them in another.
float six_bits(const uint low, const uint high, const uint at) {
  return over_base((low & (15u << at)) | (high & (48u << at)), 63, at);
}
#endif

// Weights that are a scale times a code of few bits: a kernel sums codes times activations over the
// weights of one scale, and multiplies by it once.
#if defined(WEIGHT_Q4_0) || defined(WEIGHT_Q8_0)
const uint kScaleQuads = 8;  // groups of four weights under one scale
#elif defined(WEIGHT_Q6_K)
const uint kScaleQuads = 4;
#endif
#if defined(WEIGHT_Q4_0) || defined(WEIGHT_Q8_0) || defined(WEIGHT_Q6_K)
#define WEIGHT_HAS_CODES

// Codes of four consecutive weights of a block, first = 4 * q, exact. `q` is a constant after
// unrolling.
vec4 weight_codes(const WeightBlock b, const uint q) {
#if defined(WEIGHT_Q8_0)
  const uint w = b.quants[q / 4][q % 4];
  return vec4(signed_byte(w, 0), signed_byte(w, 1), signed_byte(w, 2), signed_byte(w, 3));
#elif defined(WEIGHT_Q4_0)
  // The low or the high halves of a word's bytes.
  const uint w = b.quants[0][q / 2];
  const uint up = w << 11;
  const uint down = w >> 9;
  if ((q & 1) == 0)
    return vec4(over_base(up, 15, 11), over_base(up, 15, 19), over_base(w, 15, 16), over_base(down, 15, 15)) -
           (vec4(base(11), base(19), base(16), base(15)) + 8.0);
  return vec4(over_base(up, 15, 15), over_base(w, 15, 12), over_base(down, 15, 11), over_base(down, 15, 19)) -
         (vec4(base(15), base(12), base(11), base(19)) + 8.0);
#else
  // Bytes hold the weights' low bits in one half, and their high bits at 2 * (q % 4).
  const uint w = b.quants[0][q / 2];
  const uint h = b.high[q / 4];
  const uint w_down = w >> 12;
  const uint from = 2 * (q % 4);
  if ((q & 1) == 0) {
    const uint up = h << (4 - from);
    const uint down = h >> (8 + from);
    return vec4(six_bits(w, up, 0), six_bits(w, up, 8), six_bits(w, up, 16), six_bits(w_down, down, 12)) -
           (vec4(base(0), base(8), base(16), base(12)) + 32.0);
  }
  const uint up = h << (8 - from);
  const uint down = h >> (4 + from);
  return vec4(six_bits(w, up, 4), six_bits(w, up, 12), six_bits(w_down, down, 8), six_bits(w_down, down, 16)) -
         (vec4(base(4), base(12), base(8), base(16)) + 32.0);
#endif
}
#endif

// Four consecutive weights of a block, first = 4 * q. `q` is a constant after unrolling.
vec4 weight_values(const WeightBlock b, const uint q) {
#if defined(WEIGHT_HAS_CODES)
  return b.scale[q / 4] * weight_codes(b, q);
#elif defined(WEIGHT_F32)
  return uintBitsToFloat(b.quants[q]);
#elif defined(WEIGHT_F16)
  const uvec4 w = b.quants[q / 2];
  return (q & 1) == 0 ? vec4(unpackHalf2x16(w.x), unpackHalf2x16(w.y))
                      : vec4(unpackHalf2x16(w.z), unpackHalf2x16(w.w));
#elif defined(WEIGHT_BF16)
  const uvec4 w = b.quants[q / 2];
  const uvec2 pair = (q & 1) == 0 ? w.xy : w.zw;
  return uintBitsToFloat(uvec4(pair.x << 16, pair.x & 0xffff0000u, pair.y << 16, pair.y & 0xffff0000u));
#elif defined(WEIGHT_AFFINE8)
  const uint w = b.quants[q / 4][q % 4];
  const vec4 n = vec4(signed_byte(w, 0), signed_byte(w, 1), signed_byte(w, 2), signed_byte(w, 3));
  precise const vec4 scaled = b.scale[q / 4] * n;
  precise const vec4 value = scaled + b.shift[q / 4];
  return value;
#else
  // Bytes by themselves: several cards convert one in an instruction.
  const uint codes = (b.quants[0][q / 2] >> (4 * (q & 1))) & 0x0f0f0f0fu;
  const uvec4 low = uvec4(codes & 255, (codes >> 8) & 255, (codes >> 16) & 255, codes >> 24);
  precise const vec4 scaled = b.scale.x * vec4(low);
  precise const vec4 value = scaled + b.shift.x;
  return value;
#endif
}

// Defines WeightBlock NAME(group, block, n_blocks, lane) over three planes.
#if defined(WEIGHT_F32) || defined(WEIGHT_F16) || defined(WEIGHT_BF16)
#define LOAD_SCALES(b, scales, high_bits)
#elif defined(WEIGHT_Q8_0) || defined(WEIGHT_Q4_0)
#define LOAD_SCALES(b, scales, high_bits)                                              \
  b.scale = vec2(half_at(OWN_UINT(scales, OWN_AT(group * ((n_blocks + 1) / 2) + block / 2)), block & 1));
#elif defined(WEIGHT_AFFINE8)
#define LOAD_SCALES(b, scales, high_bits)                                              \
  const uint at = OWN_AT((group * n_blocks + block) * 4);                              \
  b.scale = uintBitsToFloat(uvec2(OWN_UINT(scales, at), OWN_UINT(scales, at + 2 * NEXT_ROW))); \
  b.shift = uintBitsToFloat(uvec2(OWN_UINT(scales, at + NEXT_ROW), OWN_UINT(scales, at + 3 * NEXT_ROW)));
#elif defined(WEIGHT_Q4_K)
#define LOAD_SCALES(b, scales, high_bits)                                              \
  const uint at = OWN_AT((group * (n_blocks / 8) + block / 8) * 4);                    \
  const vec2 unit = unpackHalf2x16(OWN_UINT(scales, at));                              \
  const vec2 sm = scale_and_minimum(                                                   \
      uvec3(OWN_UINT(scales, at + NEXT_ROW), OWN_UINT(scales, at + 2 * NEXT_ROW),      \
            OWN_UINT(scales, at + 3 * NEXT_ROW)), block % 8);                          \
  b.scale = vec2(unit.x * sm.x);                                                       \
  b.shift = vec2(-(unit.y * sm.y));
#elif defined(WEIGHT_Q6_K)
#define LOAD_SCALES(b, scales, high_bits)                                              \
  const uint at = OWN_AT((group * (n_blocks / 8) + block / 8) * 5);                    \
  const uint s = OWN_UINT(scales, at + ((block % 8) / 2) * NEXT_ROW);                  \
  const uint first = 2 * (block & 1);                                                  \
  b.scale = uintBitsToFloat(OWN_UINT(scales, at + 4 * NEXT_ROW)) *                                \
            vec2(signed_byte(s, first), signed_byte(s, first + 1));                    \
  b.high = OWN_UVEC2(high_bits, OWN_AT(group * n_blocks + block));
#endif

#define DECLARE_WEIGHT_LOAD(NAME, QUANTS, SCALES, HIGH)                                            \
  WeightBlock NAME(const uint group, const uint block, const uint n_blocks, const uint lane) {     \
    WeightBlock b;                                                                                 \
    [[unroll]] for (uint w = 0; w < kQuantWords; w++)                                              \
      b.quants[w] = OWN_UVEC4(QUANTS, OWN_AT((group * n_blocks + block) * kQuantWords + w));          \
    LOAD_SCALES(b, SCALES, HIGH)                                                                   \
    return b;                                                                                      \
  }
