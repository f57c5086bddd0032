#ifndef PREFLIGHT_SHADERS_PARAMS_MATMUL_H
#define PREFLIGHT_SHADERS_PARAMS_MATMUL_H

#include "shaders/params/begin.h"

// matmul.comp, gate_up.comp and their tiled forms. A weight part has three planes; a type that
// needs fewer binds the first one again (include/weight.glsl).
const uint kMatmulBindQuants = 0, kMatmulBindScales = 1, kMatmulBindHigh = 2, kMatmulBindX = 3,
           kMatmulBindY = 4, kMatmulBindRows = 5, kMatmulBindBias = 6, kMatmulBindings = 7;
const uint kGateUpBindX = 6, kGateUpBindY = 7, kGateUpBindings = 8;  // 0..2 gate, 3..5 up
// matmul_dot.comp binds one buffer more, behind these: the scales of x.
const uint kMatmulDotBindings = kMatmulBindings + 1, kGateUpDotBindings = kGateUpBindings + 1;
const uint kMatmulSpecLanes = 0, kMatmulSpecEpilogue = 1, kMatmulSpecPassActivations = 2;
const uint kTiledSpecRowLanes = 2, kTiledSpecColumnLanes = 3;  // and matmul_dot.comp
const uint kCoopmatSpecWorkgroup = 2, kCoopmatSpecM = 3, kCoopmatSpecN = 4, kCoopmatSpecK = 5,
           kCoopmatSpecTileRows = 6, kCoopmatSpecTileColumns = 7, kCoopmatSpecSubgroupRows = 8,
           kCoopmatSpecSubgroupColumns = 9;  // matmul_coopmat.comp

const uint kEpilogueNone = 0, kEpilogueSoftCap = 1, kEpilogueBias = 2;
const uint kMatmulRowsPerLane = 4;  // output rows that one lane of matmul.comp accumulates
const uint kGateUpRowsPerLane = 2;  // the same of gate_up.comp, of each matrix
const uint kTiledRowsPerLane = 8,
           kTiledColumnsPerLane = 4;  // sums of one lane of matmul_tiled.comp and matmul_dot.comp

struct MatmulParams {  // push constants
  uint n_columns;      // activation rows; the grid is (groups of output rows, groups of columns)
  uint n_blocks;       // blocks of 32 along a weight row
  uint n_rows;         // output rows of this part
  uint x_stride_vec4;  // distance of activation rows, in groups of 4 values
  uint y_stride;       // distance of output rows, in values
  uint y_offset;       // where this part's first output stands in its row
  uint gather;         // 1: column c reads activation row rows[c]
  float soft_cap;      // of kEpilogueSoftCap
};
PARAMS_SIZE(MatmulParams, 32)

#include "shaders/params/end.h"

#endif
