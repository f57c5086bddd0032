// What the passes of sampling share. Needs kLanes, the push constants p, and the buffers states,
// bins and lists.

#include "include/sample_lists.glsl"
#include "include/sample_math.glsl"

/// Where the two words of a digit stand.
uint sample_bin_at(const uint row, const uint pass, const uint digit) {
  return 2 * ((row * kSamplePasses + pass) * kSampleBins + digit);
}

/// Bin `i` of a pass, counted from the greatest digit.
uvec2 sample_bin(const uint row, const uint pass, const uint i) {
  const uint at = sample_bin_at(row, pass, kSampleBins - 1 - i);
  return uvec2(bins[at], bins[at + 1]);
}

shared uvec2 sample_lane_sums[kLanes];

/// Finds the next digit in the histogram of pass `pass`: the first one, from the greatest, with
/// which the target is reached.
SampleState sample_narrow(SampleState state, const uint row, const uint pass, const uint top_k,
                          const float top_p) {
  const uint chunk = (kSampleBins + kLanes - 1) / kLanes;
  const uint lane = gl_LocalInvocationID.x;
  uvec2 mine = uvec2(0);
  for (uint i = lane * chunk; i < min((lane + 1) * chunk, kSampleBins); i++)
    mine += sample_bin(row, pass, i);
  sample_lane_sums[lane] = mine;
  barrier();

  if (pass == kSampleDigits) {  // the first of top-p: a share of all that is left
    uvec2 all = uvec2(0);
    if (state.n_listed != kSampleNoList && top_k == 0) all = sample_list_pair(row, kSampleListAll);
    else for (uint i = 0; i < kLanes; i++) all += sample_lane_sums[i];
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

/// What is known before a pass, but for the digit that the pass before it has looked for.
SampleState sample_last_state(const uint row, const uint pass) {
  return states[row * (kSamplePasses + 1) + pass];
}

/// What is known before pass `pass`; all invocations of the workgroup call it.
SampleState sample_state(SampleState state, const SampleRow sampling, const uint row,
                         const uint pass) {
  if (pass == 0) return state;
  if (sample_is_active(sampling, pass - 1))
    state = sample_narrow(state, row, pass - 1, sampling.top_k, sampling.top_p);
  if (pass % kSampleDigits == 0) {  // a filter is done
    state.least_key = max(state.least_key, state.digits);
    state.digits = 0;
    state.above_high = 0;
    state.above_low = 0;
  }
  return state;
}

/// The tokens of a workgroup: from `first` to below `end` of a list or of the vocabulary.
struct SampleSlice {
  bool listed;
  uint first, end;
};

SampleSlice sample_slice(const uint n_listed) {
  const bool listed = n_listed != kSampleNoList;
  const uint n = listed ? n_listed : p.vocab_size;
  const uint slice =
      listed ? kSampleListSlice : 32 * ((p.mask_stride + kArgmaxSlices - 1) / kArgmaxSlices);
  const uint first = gl_WorkGroupID.y * slice;
  return SampleSlice(listed, first, min(first + slice, n));
}
