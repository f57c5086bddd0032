#version 460
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require

// What the softmax of a few tokens of a row needs: the row's largest logit, its sum of exponentials
// and the logits of those tokens. Two passes of one shader: kMerge 0 sums up kSoftmaxSlices slices
// of the row, kMerge 1 merges them and picks the logits.
//
// in    logits   f32 [.., logits_stride]
// in    queries  SoftmaxQuery [queries]
// in    tokens   u32 [queries, kSoftmaxTokens]
// inout partial  SoftmaxSum [queries, kSoftmaxSlices]
// out   sums     SoftmaxSum [queries]
// out   picked   f32 [queries, kSoftmaxTokens]
// grid           (queries, kSoftmaxSlices), then (queries, 1)
// twin           engine/reference/softmax.h
#include "include/sample_exp.glsl"
#include "shaders/params/softmax.h"

layout(constant_id = kSoftmaxSpecLanes) const uint kLanes = 8;
layout(constant_id = kSoftmaxSpecMerge) const uint kMerge = 0;
layout(local_size_x_id = kSoftmaxSpecLanes) in;

layout(set = 0, binding = kSoftmaxBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kSoftmaxBindQueries) readonly buffer Queries { SoftmaxQuery queries[]; };
layout(set = 0, binding = kSoftmaxBindTokens) readonly buffer Tokens { uint tokens[]; };
layout(set = 0, binding = kSoftmaxBindPartial) buffer Partial { SoftmaxSum partial[]; };
layout(set = 0, binding = kSoftmaxBindSums) writeonly buffer Sums { SoftmaxSum sums[]; };
layout(set = 0, binding = kSoftmaxBindPicked) writeonly buffer Picked { float picked[]; };
layout(push_constant) uniform Push { SoftmaxParams p; };

// Below every finite logit but itself, so that no difference is NaN.
const float kLowest = -3.402823466e38;

shared float lane_largest[kLanes];
shared float lane_sum[kLanes];
shared uint lane_bad[kLanes];
shared SoftmaxSum slices[kSoftmaxSlices];

void sum_slice(const uint query, const uint lane) {
  const uint size = (p.vocab_size + kSoftmaxSlices - 1) / kSoftmaxSlices;
  const uint begin = min(gl_WorkGroupID.y * size, p.vocab_size);
  const uint end = min(begin + size, p.vocab_size);
  const uint row = queries[query].row * p.logits_stride;

  float largest = kLowest;
  uint bad_token = kSoftmaxNoToken;
  for (uint token = begin + lane; token < end; token += kLanes) {
    const float logit = logits[row + token];
    const uint bits = floatBitsToUint(logit);  // a compiler may take it that no float is NaN
    if (bits == 0x7f800000u || (bits & 0x7fffffffu) > 0x7f800000u) bad_token = min(bad_token, token);
    else largest = max(largest, logit);
  }
  lane_largest[lane] = largest;
  lane_bad[lane] = bad_token;
  barrier();
  for (uint i = 0; i < kLanes; i++) largest = max(largest, lane_largest[i]);

  float sum = 0.0;
  for (uint chunk = begin + lane; chunk < end; chunk += kLanes * kSoftmaxChunkTokens) {
    const uint chunk_end = min(chunk + kLanes * kSoftmaxChunkTokens, end);
    float chunk_sum = 0.0;
    for (uint token = chunk; token < chunk_end; token += kLanes)
      chunk_sum += sample_exp(logits[row + token] - largest);
    sum += chunk_sum;
  }
  lane_sum[lane] = sum;
  barrier();

  if (lane != 0) return;
  for (uint i = 1; i < kLanes; i++) {
    sum += lane_sum[i];
    bad_token = min(bad_token, lane_bad[i]);
  }
  partial[query * kSoftmaxSlices + gl_WorkGroupID.y] = SoftmaxSum(largest, sum, bad_token, 0);
}

void merge(const uint query, const uint lane) {
  const SoftmaxQuery wanted = queries[query];
  for (uint i = lane; i < wanted.n_tokens; i += kLanes) {
    const uint at = query * kSoftmaxTokens + i;
    picked[at] = logits[wanted.row * p.logits_stride + tokens[at]];
  }
  for (uint i = lane; i < kSoftmaxSlices; i += kLanes)
    slices[i] = partial[query * kSoftmaxSlices + i];
  barrier();

  if (lane != 0) return;
  // Unrolled, 64 slices take all registers of some cards, for a loop of one lane.
  SoftmaxSum row = SoftmaxSum(kLowest, 0.0, kSoftmaxNoToken, 0);
  [[dont_unroll]] for (uint i = 0; i < kSoftmaxSlices; i++) {
    row.largest = max(row.largest, slices[i].largest);
    row.bad_token = min(row.bad_token, slices[i].bad_token);
  }
  [[dont_unroll]] for (uint i = 0; i < kSoftmaxSlices; i++)
    row.sum += slices[i].sum * sample_exp(slices[i].largest - row.largest);
  sums[query] = row;
}

void main() {
  if (kMerge == 0) sum_slice(gl_WorkGroupID.x, gl_LocalInvocationID.x);
  else merge(gl_WorkGroupID.x, gl_LocalInvocationID.x);
}
