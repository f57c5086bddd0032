// Sampling's order of logits, noise, and functions that give the same bits on every device (sums
// and products alone are correctly rounded everywhere).

#include "include/sample_exp.glsl"

/// Ascends with the logit.
uint sample_key(const float logit) {
  const uint bits = floatBitsToUint(logit);
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
}

/// -log(1 - u) for u = (bits + 1/2) / 2^32, an exponential variate: never 0, and fine where it is
/// small, because the least of many decides.
float sample_exponential(const uint bits) {
  precise float x;
  precise float exponent = 0.0;
  if (bits < 0x40000000u) {
    x = -((float(bits) + 0.5) * 2.32830644e-10);
  } else {
    precise const float rest = (float(~bits >> 8) + 0.5) * 5.96046448e-8;
    const uint rest_bits = floatBitsToUint(rest);
    exponent = float(int(rest_bits >> 23) - 127);
    precise float mantissa = uintBitsToFloat((rest_bits & 0x7fffffu) | 0x3f800000u);
    if (mantissa > 1.41421354) {
      mantissa = mantissa * 0.5;
      exponent = exponent + 1.0;
    }
    x = mantissa - 1.0;
  }
  precise float sum = -0.0790419504;
  sum = sum * x + 0.126239702;
  sum = sum * x - 0.129984289;
  sum = sum * x + 0.142143294;
  sum = sum * x - 0.166412488;
  sum = sum * x + 0.200010493;
  sum = sum * x - 0.25000307;
  sum = sum * x + 0.333333313;
  precise const float square = x * x;
  sum = sum * x * square - 0.5 * square;
  sum = sum + x;
  sum = sum + exponent * 0.693147182;
  return -sum;
}

/// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3, 2011).
uvec4 philox(uvec4 counter, uvec2 key) {
  for (uint i = 0; i < 10; i++) {
    uint high0, low0, high1, low1;
    umulExtended(0xD2511F53u, counter.x, high0, low0);
    umulExtended(0xCD9E8D57u, counter.z, high1, low1);
    counter = uvec4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
    key += uvec2(0x9E3779B9u, 0xBB67AE85u);
  }
  return counter;
}

/// A token's likelihood over that of the best, in steps of 2^-26.
uint sample_mass(const float logit, const float best_logit, const float inverse_temperature) {
  precise const float scaled = (logit - best_logit) * inverse_temperature;
  if (scaled < -18.1) return 0;  // what the formula gives there
  return uint(sample_exp(scaled) * float(1u << kSampleMassBits));
}
