#version 460
#extension GL_GOOGLE_include_directive : require

// The key above which a row's filters keep what they keep, from the best tokens of argmax's slices
// and a part of the vocabulary (params/sample.h). For a top-k up to the number of slices it is
// certain: as many tokens are at least as likely as the least of the slices' best. Else it is a
// guess: with the tokens looked at standing for all, the first of kSampleLevels equal steps down
// from the best logit at which top-k has twice its number, or top-p all but half of what it may
// leave out.
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// in    partial  ArgmaxEntry [rows, kArgmaxSlices], of argmax.comp
// in    rows     SampleRow [rows]
// out   states   SampleState [rows, kSamplePasses + 1], the first of each row
// out   lists    u32, see params/sample.h; what stands before a row's tokens: 0
// grid           (rows, 1)
// twin           engine/reference/sample.h, which needs no bound
#include "shaders/params/sample.h"

layout(constant_id = kSampleSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kSampleSpecLanes) in;

layout(set = 0, binding = kSampleBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kSampleBindMask) readonly buffer Mask { uint mask[]; };
layout(set = 0, binding = kSampleBindPartial) readonly buffer Partial { ArgmaxEntry partial[]; };
layout(set = 0, binding = kSampleBindRows) readonly buffer Rows { SampleRow rows[]; };
layout(set = 0, binding = kSampleBindStates) writeonly buffer States { SampleState states[]; };
layout(set = 0, binding = kSampleBindLists) writeonly buffer Lists { uint lists[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample_list_at.glsl"
#include "include/sample_math.glsl"

// A token that stands for kSampleStride of them, and so does its mass; sums stay below 2^31.
const float kSampledMass = 262144.0;
const float kOwnMass = kSampledMass / float(kSampleStride);
const uint kRest = kSampleLevels;  // what is below all levels
const float kLevelsToLeast = 16.0;  // steps from the best to the least of the slices' best

shared uint level_tokens[kSampleLevels + 1];
shared uint level_mass[kSampleLevels + 1];

void enter(const float depth, const float scaled, const uint n_tokens, const float unit) {
  const uint level = depth < float(kRest) ? uint(depth) : kRest;  // NaN is below all
  atomicAdd(level_tokens[level], n_tokens);
  atomicAdd(level_mass[level], uint(sample_exp(scaled) * unit));
}

/// A key with which the filter is likely to have what it keeps; kSampleNoList where that is more
/// than a list holds. `span` is the distance from the best to the least of the slices' best.
uint guess(const SampleRow sampling, const uint row, const float best, const float span) {
  const uint lane = gl_LocalInvocationID.x;
  for (uint i = lane; i <= kRest; i += kLanes) level_tokens[i] = level_mass[i] = 0;
  barrier();
  const float levels = span > 0.0 ? kLevelsToLeast / span : 0.0;
  for (uint i = lane; i < kArgmaxSlices; i += kLanes) {
    const ArgmaxEntry entry = partial[row * kArgmaxSlices + i];
    const float below = best - entry.logit;
    if (entry.token != kNoToken)
      enter(below * levels, -below * sampling.inverse_temperature, 1, kOwnMass);
  }
  for (uint i = lane; i < p.vocab_size / kSampleStride; i += kLanes) {
    // Not the same place in every mask word.
    const uint token = i * kSampleStride + (i * 2654435761u) % kSampleStride;
    const bool allowed = (mask[row * p.mask_stride + token / 32] >> (token % 32) & 1) != 0;
    const float below = best - logits[row * p.logits_stride + token];
    if (allowed && below >= 0.0)
      enter(below * levels, -below * sampling.inverse_temperature, kSampleStride, kSampledMass);
  }
  barrier();

  const uint room = p.list_tokens - p.list_tokens / 4;
  uint all = 0;
  for (uint i = 0; i <= kRest; i++) all += level_mass[i];
  const float enough_mass = 0.5 * (1.0 + sampling.top_p) * float(all);
  const uint enough_tokens = 2 * min(sampling.top_k, kSampleMaxTokens) + 4 * kSampleStride;
  uint mass = 0;
  uint n_tokens = 0;
  for (uint i = 0; i < kRest; i++) {
    n_tokens += level_tokens[i];
    mass += level_mass[i];
    if (n_tokens > room) return kSampleNoList;
    if (sampling.top_k != 0 ? n_tokens >= enough_tokens : float(mass) >= enough_mass)
      return sample_key(best - span * (float(i + 1) / kLevelsToLeast));
  }
  return n_tokens + level_tokens[kRest] > room ? kSampleNoList : 0;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  float best = 0.0;
  float least = 0.0;
  uint n = 0;
  for (uint i = 0; i < kArgmaxSlices; i++) {
    const ArgmaxEntry entry = partial[row * kArgmaxSlices + i];
    if (entry.token == kNoToken) continue;
    best = n == 0 ? entry.logit : max(best, entry.logit);
    least = n == 0 ? entry.logit : min(least, entry.logit);
    n++;
  }
  const bool certain = sampling.top_k != 0 && sampling.top_k <= n;
  const bool all_fit = p.vocab_size <= p.list_tokens;
  uint list_key = certain ? sample_key(least) : all_fit ? 0 : kSampleNoList;
  if (sampling.top_k == 0 && sampling.top_p == 1.0) list_key = kSampleNoList;  // one reading is all
  else if (!certain && !all_fit) list_key = guess(sampling, row, best, best - least);

  for (uint i = lane; i < kSampleListFirst; i += kLanes)
    lists[sample_list_at(row, i)] = 0;
  if (lane == 0)
    states[row * (kSamplePasses + 1)] =
        SampleState(best, certain ? list_key : 0, 0, 0, 0, float(sampling.top_k), list_key, 0);
}
