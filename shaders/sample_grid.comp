#version 460
#extension GL_GOOGLE_include_directive : require

// Decides by what is listed which tokens the passes of a row read, and so how large their grids
// are: nearly always all that matters fits one workgroup.
//
// in    rows     SampleRow [rows]
// inout lists    u32, of sample_collect.comp, and before them the grids of sample_select.comp and
//                sample_draw.comp, 0 before
// inout states   SampleState [rows, kSamplePasses + 1]: the first of each row gets its n_listed;
//                the last is the same where no filter will write it
// grid           (rows, 1)
// twin           engine/reference/sample.h, which needs no list
#include "shaders/params/sample.h"

layout(local_size_x = 1) in;

layout(set = 0, binding = kSampleBindRows) readonly buffer Rows { SampleRow rows[]; };
layout(set = 0, binding = kSampleBindStates) buffer States { SampleState states[]; };
layout(set = 0, binding = kSampleBindLists) buffer Lists { uint lists[]; };
layout(push_constant) uniform Push { SampleParams p; };

#include "include/sample_lists.glsl"

/// How many listed tokens hold all that the filters can keep; kSampleNoList: they may not.
uint n_listed(const SampleRow sampling, const uint row, const uint list_key) {
  const uint n = lists[sample_list_at(row, kSampleListSize)];
  if (list_key == kSampleNoList || n > p.list_tokens) return kSampleNoList;
  if (list_key == 0) return n;  // all that there are
  if (sampling.top_k != 0) return n >= sampling.top_k ? n : kSampleNoList;
  precise const float target = sampling.top_p * sample_value(sample_list_pair(row, kSampleListAll));
  return sample_value(sample_list_pair(row, kSampleListMass)) >= target ? n : kSampleNoList;
}

/// Grows a grid to `y` workgroups for a row; greedy rows have none.
void need(const uint grid, const uint y) {
  lists[grid] = gl_NumWorkGroups.x;
  atomicMax(lists[grid + 1], y);
  lists[grid + 2] = 1;
}

void main() {
  const uint row = gl_WorkGroupID.x;
  const SampleRow sampling = rows[row];
  if (sampling.inverse_temperature == 0.0) return;
  SampleState state = states[row * (kSamplePasses + 1)];
  state.n_listed = n_listed(sampling, row, state.list_key);
  states[row * (kSamplePasses + 1)] = state;
  const uint y = state.n_listed == kSampleNoList
                     ? kArgmaxSlices
                     : max(1, (state.n_listed + kSampleListSlice - 1) / kSampleListSlice);
  need(kSampleGridDraw, y);
  if (sampling.top_k != 0 || sampling.top_p < 1.0) need(kSampleGridSelect, y);
  else states[row * (kSamplePasses + 1) + kSamplePasses] = state;
}
