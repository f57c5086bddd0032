#version 460
#extension GL_GOOGLE_include_directive : require

// Draws a token by a race: each of those left gets an exponential waiting time with its likelihood
// as the rate, and the first wins, which is the draw by likelihood.
//
//   time = -log(1 - noise) * exp((best - logit) / temperature)
//
// The noise of a token depends on the row's seed, the position and the token alone. kMerge 0: the
// first of each slice of the list or of the vocabulary; kMerge 1: the first of all.
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// in    rows     SampleRow [rows]
// in    states, bins  of sample_select.comp
// in    lists    u32, of sample_collect.comp; the grid
// inout partial  SampleEntry [rows, kArgmaxSlices]
// out   best     ArgmaxEntry [rows], its token alone; rows of temperature 0 keep theirs
// grid           (rows, 1 to kArgmaxSlices), of sample_grid.comp, then (rows, 1)
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
layout(set = 0, binding = kSampleBindLists) readonly buffer Lists { uint lists[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample.glsl"

shared SampleEntry lane_first[kLanes];

bool earlier(const SampleEntry a, const SampleEntry b) {
  return a.token != kNoToken &&
         (b.token == kNoToken || a.time < b.time || (a.time == b.time && a.token < b.token));
}

/// Whether the filters leave a token of this logit; `scaled` is its distance to the best.
bool is_left(const SampleRow sampling, const SampleState state, const float logit,
             out float scaled) {
  precise const float distance = (logit - state.best_logit) * sampling.inverse_temperature;
  scaled = distance;
  return sample_key(logit) >= state.least_key && logit <= state.best_logit &&
         !(distance < sampling.least_scaled_logit);
}

uvec4 noise_of(const SampleRow sampling, const uint token) {
  return philox(uvec4(token / 4, sampling.position, 0, 0),
                uvec2(sampling.seed_low, sampling.seed_high));
}

SampleEntry entry_of(const uint token, const uint noise, const float scaled) {
  precise const float time = sample_exponential(noise) * sample_exp(-scaled);
  return SampleEntry(time, token);
}

/// The first of the workgroup's tokens that this lane has looked at.
SampleEntry first_of(const SampleRow sampling, const SampleState state, const SampleSlice slice) {
  const uint row = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  SampleEntry mine = SampleEntry(0.0, kNoToken);
  if (slice.listed) {
    for (uint i = slice.first + lane; i < slice.end; i += kLanes) {
      const uint token = lists[sample_list_at(row, kSampleListFirst + i)];
      float scaled;
      if (!is_left(sampling, state, logits[row * p.logits_stride + token], scaled)) continue;
      const SampleEntry entry = entry_of(token, noise_of(sampling, token)[token % 4], scaled);
      if (earlier(entry, mine)) mine = entry;
    }
    return mine;
  }
  // Four tokens share a block of noise.
  for (uint four = slice.first + 4 * lane; four < slice.end; four += 4 * kLanes) {
    uint left = mask[row * p.mask_stride + four / 32] >> (four % 32) & 15;
    float scaled[4];
    for (uint i = 0; i < 4; i++) {
      if ((left >> i & 1) == 0) continue;
      if (four + i >= slice.end ||
          !is_left(sampling, state, logits[row * p.logits_stride + four + i], scaled[i]))
        left &= ~(1u << i);
    }
    if (left == 0) continue;
    const uvec4 noise = noise_of(sampling, four);
    for (uint i = 0; i < 4; i++) {
      if ((left >> i & 1) == 0) continue;
      const SampleEntry entry = entry_of(four + i, noise[i], scaled[i]);
      if (earlier(entry, mine)) mine = entry;
    }
  }
  return mine;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  SampleEntry mine = SampleEntry(0.0, kNoToken);

  if (kMerge == 0) {
    const SampleState last = sample_last_state(row, kSamplePasses);
    const SampleSlice slice = sample_slice(last.n_listed);
    if (slice.first < slice.end)
      mine = first_of(sampling, sample_state(last, sampling, row, kSamplePasses), slice);
  } else {
    for (uint i = lane; i < lists[kSampleGridDraw + 1]; i += kLanes) {
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
