#version 460
#extension GL_GOOGLE_include_directive : require

// Draws a token by a race: each of those left gets an exponential waiting time with its likelihood
// as the rate, and the first wins, which is the draw by likelihood.
//
//   time = -log(1 - noise) * exp((best - logit) / temperature)
//
// The noise of a token depends on the row's seed, the position and the token alone. kMerge 0: the
// first of each of kArgmaxSlices slices of the vocabulary; kMerge 1: the first of all.
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// in    rows     SampleRow [rows]
// in    states, bins  of sample_select.comp
// inout partial  SampleEntry [rows, kArgmaxSlices]
// out   best     ArgmaxEntry [rows], its token alone; rows of temperature 0 keep theirs
// grid           (rows, kArgmaxSlices), then (rows, 1)
// twin           engine/reference/sample.h
#include "shaders/params/sample.h"

layout(constant_id = kSampleSpecLanes) const uint kLanes = 8;
layout(constant_id = kSampleSpecMerge) const uint kMerge = 0;
layout(local_size_x_id = kSampleSpecLanes) in;

layout(set = 0, binding = kSampleBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kSampleBindMask) readonly buffer Mask { uint mask[]; };
layout(set = 0, binding = kSampleBindPartial) buffer Partial { SampleEntry partial[]; };
layout(set = 0, binding = kSampleBindBest) writeonly buffer Best { ArgmaxEntry best[]; };
layout(set = 0, binding = kSampleBindRows) readonly buffer Rows { SampleRow rows[]; };
layout(set = 0, binding = kSampleBindStates) readonly buffer States { SampleState states[]; };
layout(set = 0, binding = kSampleBindBins) readonly buffer Bins { uint bins[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample.glsl"

shared SampleEntry lane_first[kLanes];

bool earlier(const SampleEntry a, const SampleEntry b) {
  return a.token != kNoToken &&
         (b.token == kNoToken || a.time < b.time || (a.time == b.time && a.token < b.token));
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  SampleEntry mine = SampleEntry(0.0, kNoToken);

  if (kMerge == 0) {
    const SampleState state = sample_state(sampling, row, kSamplePasses);
    const uint slice = 32 * ((p.mask_stride + kArgmaxSlices - 1) / kArgmaxSlices);  // in tokens
    const uint first = gl_WorkGroupID.y * slice;
    const uint end = min(first + slice, p.vocab_size);
    // Four tokens share a block of noise.
    for (uint four = first + 4 * lane; four < end; four += 4 * kLanes) {
      uint left = mask[row * p.mask_stride + four / 32] >> (four % 32) & 15;
      for (uint i = 0; i < 4; i++) {
        if (four + i >= end) left &= ~(1u << i);
        if ((left >> i & 1) == 0) continue;
        const float logit = logits[row * p.logits_stride + four + i];
        if (sample_key(logit) < state.least_key || !(logit <= state.best_logit)) left &= ~(1u << i);
      }
      if (left == 0) continue;
      const uvec4 noise = philox(uvec4(four / 4, sampling.position, 0, 0),
                                 uvec2(sampling.seed_low, sampling.seed_high));
      for (uint i = 0; i < 4; i++) {
        if ((left >> i & 1) == 0) continue;
        const float logit = logits[row * p.logits_stride + four + i];
        precise const float scaled = (logit - state.best_logit) * sampling.inverse_temperature;
        if (scaled < sampling.least_scaled_logit) continue;
        precise const float time = sample_exponential(noise[i]) * sample_exp(-scaled);
        const SampleEntry entry = SampleEntry(time, four + i);
        if (earlier(entry, mine)) mine = entry;
      }
    }
  } else {
    for (uint i = lane; i < kArgmaxSlices; i += kLanes) {
      const SampleEntry entry = partial[row * kArgmaxSlices + i];
      if (earlier(entry, mine)) mine = entry;
    }
  }
  lane_first[lane] = mine;
  barrier();

  if (lane != 0) return;
  for (uint i = 1; i < kLanes; i++)
    if (earlier(lane_first[i], mine)) mine = lane_first[i];
  if (kMerge == 0) partial[row * kArgmaxSlices + gl_WorkGroupID.y] = mine;
  else best[row].token = mine.token;
}
