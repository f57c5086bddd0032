#ifndef PREFLIGHT_SHADERS_PARAMS_DRAFT_H
#define PREFLIGHT_SHADERS_PARAMS_DRAFT_H

#include "shaders/params/begin.h"

const uint kDraftInputBindEmbedding = 0, kDraftInputBindHidden = 1, kDraftInputBindRows = 2,
           kDraftInputBindX = 3, kDraftInputBindings = 4;
const uint kDraftInputSpecLanes = 0;

struct DraftInputParams {  // push constants; the grid is (rows, 1, 1)
  uint target_dim;         // a multiple of 4
  uint embedding_stride_vec4;
  uint hidden_stride_vec4;
  uint x_stride_vec4;
};
PARAMS_SIZE(DraftInputParams, 16)

#include "shaders/params/end.h"

#endif
