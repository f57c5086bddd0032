// Weights of types that are a scale times a code, plus a shift in Q4_K: the codes as signed bytes, four
// to a word, as integer dot products take them. Needs weight.glsl.

#if defined(WEIGHT_Q4_0) || defined(WEIGHT_Q4_K) || defined(WEIGHT_Q6_K)
// Four nibbles in the low half of a word to the low nibbles of its bytes.
uint spread_nibbles(const uint nibbles) {
  const uint pairs = (nibbles | (nibbles << 8)) & 0x00ff00ffu;
  return (pairs | (pairs << 4)) & 0x0f0f0f0fu;
}

// Subtracts one number from all bytes; bytes and number are below 128, so that none borrows.
uint minus_bytes(const uint bytes, const uint number) {
  return ((bytes | 0x80808080u) - number * 0x01010101u) ^ 0x80808080u;
}
#endif

// Codes of four consecutive weights of a block, first = 4 * q. `q` is a constant after unrolling.
uint weight_bytes(const WeightBlock b, const uint q) {
#if defined(WEIGHT_Q8_0)
  return b.quants[q / 4][q % 4];
#else
  const uint nibbles = (b.quants[0][q / 2] >> (16 * (q & 1))) & 0xffffu;
#if defined(WEIGHT_Q4_K)
  return spread_nibbles(nibbles);
#elif defined(WEIGHT_Q4_0)
  return minus_bytes(spread_nibbles(nibbles), 8);
#else
  // Four pairs of high bits to the same place of the four bytes.
  const uint pairs = (b.high[q / 4] >> (8 * (q % 4))) & 0xffu;
  const uint two = (pairs | (pairs << 12)) & 0x000f000fu;
  const uint high = (two | (two << 6)) & 0x03030303u;
  return minus_bytes(spread_nibbles(nibbles) | (high << 4), 32);
#endif
#endif
}

// What a kernel needs beside the codes: Q4_0 and Q8_0 have a scale, Q6_K one for each half of a block,
// Q4_K a scale and a shift.
#if defined(WEIGHT_Q4_K) || defined(WEIGHT_Q6_K)
#define BLOCK_SCALE vec2
#else
#define BLOCK_SCALE float
#endif

BLOCK_SCALE block_scale(const WeightBlock b) {
#if defined(WEIGHT_Q4_K)
  return vec2(b.scale.x, b.shift.x);
#elif defined(WEIGHT_Q6_K)
  return b.scale;
#else
  return b.scale.x;
#endif
}
