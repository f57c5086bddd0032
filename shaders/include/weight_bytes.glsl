// Blocks of weights that are a scale times a code, and of activations that quantise.comp has rounded:
// their codes as signed bytes, four to a word, and the sum of their products by integer dot products.
// Needs weight.glsl and integer_dot.glsl.

// Subtracts 32 from all bytes, which are below 128, so that none borrows.
uint minus_32(const uint bytes) { return ((bytes | 0x80808080u) - 0x20202020u) ^ 0x80808080u; }

// Codes of four consecutive weights of a block, first = 4 * q; those of Q4_0 are 8 too large, which is
// its shift. `q` is a constant after unrolling.
uint weight_bytes(const WeightBlock b, const uint q) {
#if defined(WEIGHT_Q8_0)
  return b.quants[q / 4][q % 4];
#else
  const uint low = (b.quants[0][q / 2] >> (4 * (q & 1))) & 0x0f0f0f0fu;
#if defined(WEIGHT_Q6_K)
  return minus_32(low | (((b.high[q / 4] >> (2 * (q % 4))) & 0x03030303u) << 4));
#else
  return low;
#endif
#endif
}

// What a kernel needs beside the codes: Q8_0 has a scale, Q6_K one for each half of a block, Q4_0 and
// Q4_K a scale and a shift.
#if defined(WEIGHT_Q4_0) || defined(WEIGHT_Q4_K)
#define BLOCK_SHIFT
#define BLOCK_SCALE vec2
#elif defined(WEIGHT_Q6_K)
#define BLOCK_SCALE vec2
#else
#define BLOCK_SCALE float
#endif

BLOCK_SCALE block_scale(const WeightBlock b) {
#if defined(WEIGHT_Q4_0)
  return vec2(b.scale.x, -8.0 * b.scale.x);
#elif defined(WEIGHT_Q4_K)
  return vec2(b.scale.x, b.shift.x);
#elif defined(WEIGHT_Q6_K)
  return b.scale;
#else
  return b.scale.x;
#endif
}

struct CodeBlock {
  uvec4 codes[2];
  BLOCK_SCALE scale;
};

CodeBlock code_block(const WeightBlock b) {
  return CodeBlock(uvec4[2](uvec4(weight_bytes(b, 0), weight_bytes(b, 1), weight_bytes(b, 2), weight_bytes(b, 3)),
                            uvec4(weight_bytes(b, 4), weight_bytes(b, 5), weight_bytes(b, 6), weight_bytes(b, 7))),
                   block_scale(b));
}

int dot_of_words(const uvec4 a, const uvec4 b, const int sum) {
  return add_dot(a.w, b.w, add_dot(a.z, b.z, add_dot(a.y, b.y, add_dot(a.x, b.x, sum))));
}

// Adds the product of a block of weights and one of activations to the sum of those before. x_scale.x
// belongs to the activations' codes, x_scale.y is their scaled sum.
float add_block(const float sum, const CodeBlock w, const uvec4 x[2], const vec2 x_scale) {
#if defined(WEIGHT_Q6_K)
  precise const float first = w.scale.x * float(dot_of_words(w.codes[0], x[0], 0));
  precise const float both = fma(w.scale.y, float(dot_of_words(w.codes[1], x[1], 0)), first);
  precise const float s = fma(x_scale.x, both, sum);
#else
  const float product = float(dot_of_words(w.codes[1], x[1], dot_of_words(w.codes[0], x[0], 0)));
#if defined(BLOCK_SHIFT)
  precise const float factor = w.scale.x * x_scale.x;
  precise const float s = fma(w.scale.y, x_scale.y, fma(factor, product, sum));
#else
  precise const float factor = w.scale * x_scale.x;
  precise const float s = fma(factor, product, sum);
#endif
#endif
  return s;
}
