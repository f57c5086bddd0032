#ifndef PREFLIGHT_SHADERS_PARAMS_SOFTMAX_H
#define PREFLIGHT_SHADERS_PARAMS_SOFTMAX_H

#include "shaders/params/begin.h"

const uint kSoftmaxBindLogits = 0, kSoftmaxBindQueries = 1, kSoftmaxBindTokens = 2,
           kSoftmaxBindPartial = 3, kSoftmaxBindSums = 4, kSoftmaxBindPicked = 5,
           kSoftmaxBindings = 6;
const uint kSoftmaxSpecLanes = 0, kSoftmaxSpecMerge = 1;
const uint kSoftmaxSlices = 64;       // parts of a row that are summed up on their own
const uint kSoftmaxTokens = 256;      // most tokens of a query
const uint kSoftmaxChunkTokens = 32;  // of a lane, that are summed up before they join its sum
const uint kSoftmaxNoToken = 0xffffffffu;

struct SoftmaxQuery {  // 8 bytes; written by the host
  uint row;            // of the logits
  uint n_tokens;       // whose logits are wanted
};
PARAMS_SIZE(SoftmaxQuery, 8)

struct SoftmaxSum {  // 16 bytes; of a row, or of a slice
  float largest;     // logit; the lowest finite number where all are minus infinity
  float sum;         // of exp(logit - largest)
  uint bad_token;    // the first whose logit is NaN or plus infinity; kSoftmaxNoToken: none
  uint unused;
};
PARAMS_SIZE(SoftmaxSum, 16)

struct SoftmaxParams {  // push constants; the grid is (queries, kSoftmaxSlices) or (queries, 1)
  uint vocab_size;
  uint logits_stride;
};
PARAMS_SIZE(SoftmaxParams, 8)

#include "shaders/params/end.h"

#endif
