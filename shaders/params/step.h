// What changes from step to step: one record per row, read by the kernels that look at positions.
#ifndef PREFLIGHT_SHADERS_PARAMS_STEP_H
#define PREFLIGHT_SHADERS_PARAMS_STEP_H

#include "shaders/params/begin.h"

const uint kPageTokens = 64;          // positions in a KV page; also the key tile of attention
const uint kNoSoftRow = 0xffffffffu;  // RowInfo.soft_row of a plain token
const uint kWeightBlock = 32;         // weights along a row that one load_block() serves

struct RowInfo {
  uint position;       // of the row in its sequence
  uint last_visible;   // last key a sliding layer shows it: its vision block's end, else position
  uint sliding_pages;  // where the sequence's table of sliding pages begins in the page tables
  uint full_pages;     // the same for full layers
  int token;           // id to embed
  uint soft_row;       // row of the soft-token buffer, or kNoSoftRow
  uint tile_first;     // attention's row tile of this number, not this row: its first row
  uint tile_rows;      // and how many neighbouring rows of one sequence it has; 0: no such tile
};
PARAMS_SIZE(RowInfo, 32)

#include "shaders/params/end.h"

#endif
