#version 460
#extension GL_GOOGLE_include_directive : require

// The best allowed token of each row; of equal logits the lowest id. Two passes of one shader:
// kMerge 0 searches kArgmaxSlices slices of the vocabulary, kMerge 1 merges them.
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// inout partial  ArgmaxEntry [rows, kArgmaxSlices]
// out   best     ArgmaxEntry [rows]; token kNoToken where the mask allows nothing
// grid           (rows, kArgmaxSlices), then (rows, 1)
// twin           engine/reference/argmax.h
#include "shaders/params/argmax.h"

layout(constant_id = kArgmaxSpecLanes) const uint kWorkgroup = 8;
layout(constant_id = kArgmaxSpecMerge) const uint kMerge = 0;
layout(local_size_x_id = kArgmaxSpecLanes) in;

layout(set = 0, binding = kArgmaxBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kArgmaxBindMask) readonly buffer Mask { uint mask[]; };
layout(set = 0, binding = kArgmaxBindPartial) buffer Partial { ArgmaxEntry partial[]; };
layout(set = 0, binding = kArgmaxBindBest) writeonly buffer Best { ArgmaxEntry best[]; };
layout(push_constant) uniform Push { ArgmaxParams p; };

shared ArgmaxEntry lane_best[kWorkgroup];

bool better(const ArgmaxEntry a, const ArgmaxEntry b) {
  return a.token != kNoToken &&
         (b.token == kNoToken || a.logit > b.logit || (a.logit == b.logit && a.token < b.token));
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const uint lane = gl_LocalInvocationID.x;
  ArgmaxEntry mine = ArgmaxEntry(0.0, kNoToken);

  if (kMerge == 0) {
    const uint slice = (p.mask_stride + kArgmaxSlices - 1) / kArgmaxSlices;  // in mask words
    const uint first = gl_WorkGroupID.y * slice;
    for (uint word = first + lane; word < min(first + slice, p.mask_stride); word += kWorkgroup) {
      uint bits = mask[row * p.mask_stride + word];
      while (bits != 0) {
        const uint token = 32 * word + uint(findLSB(bits));
        bits &= bits - 1;
        if (token >= p.vocab_size) break;
        const ArgmaxEntry entry = ArgmaxEntry(logits[row * p.logits_stride + token], token);
        if (better(entry, mine)) mine = entry;
      }
    }
  } else {
    for (uint i = lane; i < kArgmaxSlices; i += kWorkgroup) {
      const ArgmaxEntry entry = partial[row * kArgmaxSlices + i];
      if (better(entry, mine)) mine = entry;
    }
  }
  lane_best[lane] = mine;
  barrier();

  if (lane != 0) return;
  for (uint i = 1; i < kWorkgroup; i++)
    if (better(lane_best[i], mine)) mine = lane_best[i];
  if (kMerge == 0) partial[row * kArgmaxSlices + gl_WorkGroupID.y] = mine;
  else best[row] = mine;
}
