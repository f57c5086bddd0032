#ifndef PREFLIGHT_SHADERS_PARAMS_QUANTISE_H
#define PREFLIGHT_SHADERS_PARAMS_QUANTISE_H

#include "shaders/params/begin.h"

const uint kQuantiseBindX = 0, kQuantiseBindCodes = 1, kQuantiseBindScales = 2,
           kQuantiseBindings = 3;
const uint kQuantiseSpecWorkgroup = 0;

struct QuantiseParams {  // push constants; the grid is (rows, n_blocks / workgroup rounded up)
  uint n_blocks;         // blocks of 32 along a row, of x and of the codes
};
PARAMS_SIZE(QuantiseParams, 4)

#include "shaders/params/end.h"

#endif
