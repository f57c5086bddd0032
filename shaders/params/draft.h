#ifndef PREFLIGHT_SHADERS_PARAMS_DRAFT_H
#define PREFLIGHT_SHADERS_PARAMS_DRAFT_H

#include "shaders/params/argmax.h"
#include "shaders/params/step.h"
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

const uint kDraftNextBindBest = 0, kDraftNextBindRowInfo = 1, kDraftNextBindRows = 2,
           kDraftNextBindTokens = 3, kDraftNextBindings = 4;

struct DraftNextParams {  // push constants; the grid is (rows, 1, 1)
  uint first_token;       // where this step's tokens begin
};
PARAMS_SIZE(DraftNextParams, 4)

#include "shaders/params/end.h"

#endif
