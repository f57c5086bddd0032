#version 460
#extension GL_GOOGLE_include_directive : require

// One digit of the least logit that a filter keeps (params/sample.h): a histogram over the tokens
// that are left, by the digit of their keys, of their number or mass.
//
//   bins[r, pass, digit] += 1   or   exp((logit - best) / temperature), in steps of 2^-26
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// in    partial  ArgmaxEntry [rows, kArgmaxSlices], of argmax.comp
// in    rows     SampleRow [rows]
// inout states   SampleState [rows, kSamplePasses]
// inout bins     u32 [rows, kSamplePasses, kSampleBins, 2], 0 before pass 0
// grid           (rows, kArgmaxSlices), passes in order
// twin           engine/reference/sample.h, all passes and sample_draw.comp
#include "shaders/params/sample.h"

layout(constant_id = kSampleSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kSampleSpecLanes) in;

layout(set = 0, binding = kSampleBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kSampleBindMask) readonly buffer Mask { uint mask[]; };
layout(set = 0, binding = kSampleBindPartial) readonly buffer Partial { SampleEntry partial[]; };
layout(set = 0, binding = kSampleBindRows) readonly buffer Rows { SampleRow rows[]; };
layout(set = 0, binding = kSampleBindStates) buffer States { SampleState states[]; };
layout(set = 0, binding = kSampleBindBins) buffer Bins { uint bins[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample.glsl"

void main() {
  const uint row = gl_WorkGroupID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  const SampleState state = sample_state(sampling, row, p.pass);
  if (gl_WorkGroupID.y == 0 && gl_LocalInvocationID.x == 0)
    states[row * kSamplePasses + p.pass] = state;
  if (!sample_is_active(sampling, p.pass)) return;

  const bool by_mass = p.pass >= kSampleDigits;
  const uint shift = kSampleDigitBits * (kSampleDigits - 1 - p.pass % kSampleDigits);
  const uint known = shift == 24 ? 0 : 0xffffffffu << (shift + kSampleDigitBits);
  const uint first_bin = (row * kSamplePasses + p.pass) * kSampleBins;
  const uint slice = 32 * ((p.mask_stride + kArgmaxSlices - 1) / kArgmaxSlices);  // in tokens
  const uint first = gl_WorkGroupID.y * slice;
  const uint end = min(first + slice, p.vocab_size);
  for (uint token = first + gl_LocalInvocationID.x; token < end; token += kLanes) {
    const float logit = logits[row * p.logits_stride + token];
    const uint key = sample_key(logit);
    if (key < state.least_key || (key & known) != state.digits) continue;
    const bool allowed = (mask[row * p.mask_stride + token / 32] >> (token % 32) & 1) != 0;
    if (!allowed || !(logit <= state.best_logit)) continue;  // NaN is no number
    const uint bin = 2 * (first_bin + (key >> shift & (kSampleBins - 1)));
    if (!by_mass) {
      atomicAdd(bins[bin + 1], 1);
      continue;
    }
    precise const float scaled = (logit - state.best_logit) * sampling.inverse_temperature;
    const uint mass = uint(sample_exp(scaled) * float(1u << kSampleMassBits));
    if (mass == 0) continue;
    atomicAdd(bins[bin], mass >> kSampleLimbBits);
    atomicAdd(bins[bin + 1], mass & ((1u << kSampleLimbBits) - 1));
  }
}
