#version 460
#extension GL_GOOGLE_include_directive : require

// Lists the tokens of the key that sample_bound.comp has chosen and above, in no order. Where top-p
// is the first filter, it also sums up the mass of all tokens and of those listed.
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// in    rows     SampleRow [rows]
// in    states   SampleState [rows, kSamplePasses + 1], the first of each row
// inout lists    u32, see params/sample.h
// grid           (rows, kArgmaxSlices)
// twin           engine/reference/sample.h, which needs no list
#include "shaders/params/sample.h"

layout(constant_id = kSampleSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kSampleSpecLanes) in;

layout(set = 0, binding = kSampleBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kSampleBindMask) readonly buffer Mask { uint mask[]; };
layout(set = 0, binding = kSampleBindRows) readonly buffer Rows { SampleRow rows[]; };
layout(set = 0, binding = kSampleBindStates) readonly buffer States { SampleState states[]; };
layout(set = 0, binding = kSampleBindLists) buffer Lists { uint lists[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample_list_at.glsl"
#include "include/sample_math.glsl"

shared uvec4 lane_mass[kLanes];

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  const uint list_key = states[row * (kSamplePasses + 1)].list_key;
  const float best = states[row * (kSamplePasses + 1)].best_logit;
  if (list_key == kSampleNoList) return;

  const bool by_mass = sampling.top_k == 0;
  const uint list = sample_list_at(row, 0);
  const uint slice = (p.mask_stride + kArgmaxSlices - 1) / kArgmaxSlices;  // in mask words
  const uint first = gl_WorkGroupID.y * slice;
  uvec4 sums = uvec4(0);  // mass of all, mass of those listed
  for (uint word = first + lane; word < min(first + slice, p.mask_stride); word += kLanes) {
    const uint allowed = mask[row * p.mask_stride + word];
    const uint n = min(32, p.vocab_size - 32 * word);
    const uint first_logit = row * p.logits_stride + 32 * word;
    // What is rare stays out of the loops over tokens: some CPU devices pay for it every time.
    uint listed = 0;
    if (by_mass) {
      for (uint i = 0; i < n; i++) {
        const float logit = logits[first_logit + i];
        if ((allowed >> i & 1) == 0 || !(logit <= best)) continue;  // NaN is no number
        const uint mass = sample_mass(logit, best, sampling.inverse_temperature);
        const uvec2 limbs = uvec2(mass >> kSampleLimbBits, mass & ((1u << kSampleLimbBits) - 1));
        const bool above = sample_key(logit) >= list_key;
        listed |= uint(above) << i;
        sums += uvec4(limbs, above ? limbs : uvec2(0));
      }
    } else {
      for (uint i = 0; i < n; i++) {
        const float logit = logits[first_logit + i];
        listed |= uint(sample_key(logit) >= list_key && logit <= best) << i;
      }
    }
    for (listed &= allowed; listed != 0; listed &= listed - 1) {
      const uint at = atomicAdd(lists[list + kSampleListSize], 1);
      if (at < p.list_tokens) lists[list + kSampleListFirst + at] = 32 * word + findLSB(listed);
    }
  }
  if (!by_mass) return;
  lane_mass[lane] = sums;
  barrier();

  if (lane != 0) return;
  for (uint i = 1; i < kLanes; i++) sums += lane_mass[i];
  for (uint i = 0; i < 2; i++) {
    atomicAdd(lists[list + kSampleListAll + i], sums[i]);
    atomicAdd(lists[list + kSampleListMass + i], sums[2 + i]);
  }
}
