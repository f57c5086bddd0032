#version 460
#extension GL_GOOGLE_include_directive : require

// One digit of the least logit that a filter keeps (params/sample.h): a histogram over the tokens
// that are left, by the digit of their keys, of their number or mass.
//
//   bins[r, pass, digit] += 1   or   exp((logit - best) / temperature), in steps of 2^-26
//
// in    logits   f32 [rows, logits_stride]
// in    mask     u32 [rows, mask_stride]
// in    rows     SampleRow [rows]
// in    lists    u32, of sample_collect.comp
// inout states   SampleState [rows, kSamplePasses + 1]; the first of each row: sample_grid.comp
// inout bins     u32 [rows, kSamplePasses, kSampleBins, 2], 0 before pass 0
// grid           (rows, 1 to kArgmaxSlices), of sample_grid.comp; passes in order
// twin           engine/reference/sample.h, all passes and sample_draw.comp
#include "shaders/params/sample.h"

layout(constant_id = kSampleSpecLanes) const uint kLanes = 8;
layout(local_size_x_id = kSampleSpecLanes) in;

layout(set = 0, binding = kSampleBindLogits) readonly buffer Logits { float logits[]; };
layout(set = 0, binding = kSampleBindMask) readonly buffer Mask { uint mask[]; };
layout(set = 0, binding = kSampleBindRows) readonly buffer Rows { SampleRow rows[]; };
layout(set = 0, binding = kSampleBindStates) buffer States { SampleState states[]; };
layout(set = 0, binding = kSampleBindBins) buffer Bins { uint bins[]; };
layout(set = 0, binding = kSampleBindLists) readonly buffer Lists { uint lists[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample.glsl"

void main() {
  const uint row = gl_WorkGroupID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  SampleState state = sample_last_state(row, p.pass);
  const SampleSlice slice = sample_slice(state.n_listed);
  const bool in_use = sample_is_active(sampling, p.pass);
  if (gl_WorkGroupID.y != 0 && (!in_use || slice.first >= slice.end)) return;
  state = sample_state(state, sampling, row, p.pass);
  if (gl_WorkGroupID.y == 0 && gl_LocalInvocationID.x == 0)
    states[row * (kSamplePasses + 1) + p.pass + 1] = state;
  if (!in_use) return;

  const bool by_mass = p.pass >= kSampleDigits;
  const uint shift = kSampleDigitBits * (kSampleDigits - 1 - p.pass % kSampleDigits);
  const uint known = shift == 24 ? 0 : 0xffffffffu << (shift + kSampleDigitBits);
  for (uint i = slice.first + gl_LocalInvocationID.x; i < slice.end; i += kLanes) {
    const uint token = slice.listed ? lists[sample_list_at(row, kSampleListFirst + i)] : i;
    const float logit = logits[row * p.logits_stride + token];
    const uint key = sample_key(logit);
    if (key < state.least_key || (key & known) != state.digits) continue;
    if (!slice.listed) {
      const bool allowed = (mask[row * p.mask_stride + token / 32] >> (token % 32) & 1) != 0;
      if (!allowed || !(logit <= state.best_logit)) continue;  // NaN is no number
    }
    const uint bin = sample_bin_at(row, p.pass, key >> shift & (kSampleBins - 1));
    if (!by_mass) {
      atomicAdd(bins[bin + 1], 1);
      continue;
    }
    const uint mass = sample_mass(logit, state.best_logit, sampling.inverse_temperature);
    if (mass == 0) continue;
    atomicAdd(bins[bin], mass >> kSampleLimbBits);
    atomicAdd(bins[bin + 1], mass & ((1u << kSampleLimbBits) - 1));
  }
}
