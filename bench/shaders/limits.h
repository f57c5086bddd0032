#ifndef PREFLIGHT_BENCH_SHADERS_LIMITS_H
#define PREFLIGHT_BENCH_SHADERS_LIMITS_H

#include "shaders/params/begin.h"

const uint kLimitSpecLanes = 0;
const uint kFmaChains = 16;  // more than this spills on a CPU device
const uint kFmaUnroll = 8;   // a loop's own work counts on a CPU device
const uint kReadUnroll = 8;
const uint kLimitSpecM = 1, kLimitSpecN = 2, kLimitSpecK = 3;  // coopmat.comp
const uint kDotChains = 16, kDotUnroll = 8;                    // as kFmaChains and kFmaUnroll
const uint kCoopmatChains = 4;  // sums of one subgroup: what their registers allow everywhere

struct LimitParams {  // push constants of fma.comp, dot.comp, read.comp and coopmat.comp; the grid
                      // is (workgroups, 1, 1)
  uint n_rounds;
  float factor;
  float addend;
};
PARAMS_SIZE(LimitParams, 12)

#include "shaders/params/end.h"

#endif
