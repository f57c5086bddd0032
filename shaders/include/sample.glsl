// What the passes of sampling share: the order of logits, noise, and functions that give the same
// bits on every device (sums and products alone are correctly rounded everywhere). Needs kLanes, the
// push constants p, and the buffers partial, states and bins.

/// Ascends with the logit.
uint sample_key(const float logit) {
  const uint bits = floatBitsToUint(logit);
  return bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
}

/// The exponential function within 1e-7 of its value, from -87 to 88; cut off outside.
float sample_exp(const float value) {
  const float x = clamp(value, -87.0, 88.0);
  precise const float turns = floor(x * 1.44269504 + 0.5);
  precise float r = x - turns * 0.693359375;  // log(2) in two parts, of which the first is short
  r = r + turns * 2.12194440e-4;
  precise float sum = 0.00139262679;
  sum = sum * r + 0.00836324692;
  sum = sum * r + 0.0416665524;
  sum = sum * r + 0.166665763;
  sum = sum * r + 0.5;
  sum = sum * r * r + r;
  sum = sum + 1.0;
  precise const float scaled = sum * uintBitsToFloat(uint(int(turns) + 127) << 23);
  return scaled;
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

/// A number or a mass of two words as one value.
float sample_value(const uvec2 words) {
  const uint high = words.x + (words.y >> kSampleLimbBits);
  const uint low = words.y & ((1u << kSampleLimbBits) - 1);
  precise const float value = float(high) * float(1u << kSampleLimbBits) + float(low);
  return value;
}

/// Bin `i` of a pass, counted from the greatest digit.
uvec2 sample_bin(const uint row, const uint pass, const uint i) {
  const uint at = 2 * ((row * kSamplePasses + pass) * kSampleBins + kSampleBins - 1 - i);
  return uvec2(bins[at], bins[at + 1]);
}

shared uvec2 sample_lane_sums[kLanes];

/// Finds the next digit in the histogram of pass `pass`: the first one, from the greatest, with
/// which the target is reached.
SampleState sample_narrow(SampleState state, const uint row, const uint pass, const float top_p) {
  const uint chunk = (kSampleBins + kLanes - 1) / kLanes;
  const uint lane = gl_LocalInvocationID.x;
  uvec2 mine = uvec2(0);
  for (uint i = lane * chunk; i < min((lane + 1) * chunk, kSampleBins); i++)
    mine += sample_bin(row, pass, i);
  sample_lane_sums[lane] = mine;
  barrier();

  if (pass == kSampleDigits) {  // the first of top-p: a share of all that is left
    uvec2 all = uvec2(0);
    for (uint i = 0; i < kLanes; i++) all += sample_lane_sums[i];
    precise const float target = top_p * sample_value(all);
    state.target = target;
  }
  uvec2 above = uvec2(state.above_high, state.above_low);
  uint i = 0;
  for (uint j = 0; j < kLanes; j++) {
    if (sample_value(above + sample_lane_sums[j]) >= state.target) break;
    above += sample_lane_sums[j];
    i += chunk;
  }
  for (; i < kSampleBins - 1; i++) {  // the least digit where the target is never reached
    const uvec2 bin = sample_bin(row, pass, i);
    if (sample_value(above + bin) >= state.target) break;
    above += bin;
  }
  const uint digit = kSampleBins - 1 - min(i, kSampleBins - 1);
  state.digits |= digit << (kSampleDigitBits * (kSampleDigits - 1 - pass % kSampleDigits));
  state.above_high = above.x;
  state.above_low = above.y;
  return state;
}

bool sample_is_active(const SampleRow sampling, const uint pass) {
  return pass < kSampleDigits ? sampling.top_k != 0 : sampling.top_p < 1.0;
}

/// What is known before pass `pass`; all invocations of the workgroup call it.
SampleState sample_state(const SampleRow sampling, const uint row, const uint pass) {
  if (pass == 0) {
    // As many tokens as there are slices are at least as likely as the least of the slices' best.
    float best = 0.0;
    float least = 0.0;
    uint n = 0;
    for (uint i = 0; i < kArgmaxSlices; i++) {
      const SampleEntry entry = partial[row * kArgmaxSlices + i];  // an ArgmaxEntry here
      if (entry.token == kNoToken) continue;
      best = n == 0 ? entry.time : max(best, entry.time);
      least = n == 0 ? entry.time : min(least, entry.time);
      n++;
    }
    const bool bounded = sampling.top_k != 0 && sampling.top_k <= n;
    return SampleState(best, bounded ? sample_key(least) : 0, 0, 0, 0, float(sampling.top_k));
  }
  SampleState state = states[row * kSamplePasses + pass - 1];
  if (sample_is_active(sampling, pass - 1)) state = sample_narrow(state, row, pass - 1, sampling.top_p);
  if (pass % kSampleDigits == 0) {  // a filter is done
    state.least_key = max(state.least_key, state.digits);
    state.digits = 0;
    state.above_high = 0;
    state.above_low = 0;
  }
  return state;
}
