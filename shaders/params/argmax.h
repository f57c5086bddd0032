#ifndef PREFLIGHT_SHADERS_PARAMS_ARGMAX_H
#define PREFLIGHT_SHADERS_PARAMS_ARGMAX_H

#include "shaders/params/begin.h"

const uint kArgmaxBindLogits = 0, kArgmaxBindMask = 1, kArgmaxBindPartial = 2, kArgmaxBindBest = 3,
           kArgmaxBindings = 4;
const uint kArgmaxSpecLanes = 0, kArgmaxSpecMerge = 1;
const uint kArgmaxSlices = 64;      // parts of the vocabulary that are searched on their own
const uint kNoToken = 0xffffffffu;  // ArgmaxEntry.token where nothing is allowed

struct ArgmaxEntry {  // 8 bytes
  float logit;
  uint token;
};
PARAMS_SIZE(ArgmaxEntry, 8)

struct ArgmaxParams {  // push constants; the grid is (rows, kArgmaxSlices) or (rows, 1)
  uint vocab_size;
  uint logits_stride;
  uint mask_stride;  // words of a row's mask; bit i of word i/32 allows token i
};
PARAMS_SIZE(ArgmaxParams, 12)

#include "shaders/params/end.h"

#endif
