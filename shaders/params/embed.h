#ifndef PREFLIGHT_SHADERS_PARAMS_EMBED_H
#define PREFLIGHT_SHADERS_PARAMS_EMBED_H

#include "shaders/params/step.h"
#include "shaders/params/begin.h"

const uint kEmbedBindQuants = 0, kEmbedBindScales = 1, kEmbedBindHigh = 2, kEmbedBindRowInfo = 3,
           kEmbedBindSoft = 4, kEmbedBindH = 5, kEmbedBindings = 6;
const uint kEmbedSpecLanes = 0;

struct EmbedParams {  // push constants
  uint n_blocks;      // blocks of 32 in a row of the table
  uint model_dim;
  uint h_stride;     // distance of residual rows, in values
  uint first_token;  // ids first_token .. first_token + n_tokens - 1 lie in this part
  uint n_tokens;
  float scale;  // of token rows; soft rows enter as they are
};
PARAMS_SIZE(EmbedParams, 24)

#include "shaders/params/end.h"

#endif
