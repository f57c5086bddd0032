#ifndef PREFLIGHT_PARAMS_TEST_H
#define PREFLIGHT_PARAMS_TEST_H
#include "shaders/params/begin.h"

// The test kernel affine.comp: y[i] = kFactor * x[i] + p.addend, for i < p.n.
const uint kAffineBindX = 0, kAffineBindY = 1;               // set 0
const uint kAffineSpecWorkgroup = 0, kAffineSpecFactor = 1;  // constant_id
struct AffineParams {
  uint n;
  uint addend;
  float unused;  // a float beside the integers: the layouts agree
};
PARAMS_SIZE(AffineParams, 12)

#include "shaders/params/end.h"
#endif
