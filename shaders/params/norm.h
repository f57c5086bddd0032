#ifndef PREFLIGHT_SHADERS_PARAMS_NORM_H
#define PREFLIGHT_SHADERS_PARAMS_NORM_H

#include "shaders/params/begin.h"

const uint kNormSpecWorkgroup = 0, kNormSpecWeighted = 1;  // the second: rms_norm.comp alone

const uint kRmsNormBindX = 0, kRmsNormBindWeight = 1, kRmsNormBindY = 2, kRmsNormBindings = 3;

struct RmsNormParams {  // push constants; the grid is (rows, 1, 1)
  uint row_size;        // a multiple of 4
  uint x_stride;        // distance of rows of x, in values
  uint y_stride_vec4;   // distance of rows of y, in groups of 4 values
  float epsilon;
};
PARAMS_SIZE(RmsNormParams, 16)

const uint kNormResidualBindX = 0, kNormResidualBindPostWeight = 1, kNormResidualBindH = 2,
           kNormResidualBindNextWeight = 3, kNormResidualBindY = 4, kNormResidualBindings = 5;

struct NormResidualParams {  // push constants; the grid is (rows, 1, 1)
  uint row_size;
  uint x_stride;
  uint h_stride;
  uint y_stride_vec4;
  float epsilon;
  float layer_scalar;  // multiplies the whole new residual; 1 after attention
};
PARAMS_SIZE(NormResidualParams, 24)

const uint kPatchNormBindX = 0, kPatchNormBindWeight = 1, kPatchNormBindBias = 2,
           kPatchNormBindY = 3, kPatchNormBindings = 4;

struct PatchNormParams {  // push constants; the grid is (patches, 1, 1)
  uint row_size;
  uint x_stride;
  uint y_stride_vec4;
  float epsilon;
};
PARAMS_SIZE(PatchNormParams, 16)

const uint kPatchPositionBindX = 0, kPatchPositionBindWeight2 = 1, kPatchPositionBindBias2 = 2,
           kPatchPositionBindTable = 3, kPatchPositionBindWeight3 = 4, kPatchPositionBindBias3 = 5,
           kPatchPositionBindY = 6, kPatchPositionBindings = 7;

struct PatchPositionParams {  // push constants; the grid is (patches, 1, 1)
  uint row_size;
  uint x_stride;
  uint y_stride_vec4;
  uint columns;         // patches in a row of the picture: x = patch % columns, y = patch / columns
  uint table_stride;    // distance of consecutive positions in the table, in values
  uint table_y_offset;  // where position 0 of the y axis stands
  float epsilon;        // of both layer norms
  float rms_epsilon;
  uint first_patch;  // of this dispatch in the picture
};
PARAMS_SIZE(PatchPositionParams, 36)

#include "shaders/params/end.h"

#endif
