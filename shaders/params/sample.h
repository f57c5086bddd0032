#ifndef PREFLIGHT_SHADERS_PARAMS_SAMPLE_H
#define PREFLIGHT_SHADERS_PARAMS_SAMPLE_H

#include "shaders/params/argmax.h"
#include "shaders/params/begin.h"

// A token is drawn from what is left of a row after the filters (docs/model.md, sampling). All of
// them keep what is at least as likely as some token, so together they are one least logit. Each
// filter finds its own digit by digit, the highest first, in a histogram of the logits' keys: top-k
// by the number of tokens, top-p by their mass. Numbers and masses are integers, so that a sum is
// the same in any order.
const uint kSampleDigitBits = 8, kSampleDigits = 4, kSampleBins = 256;
const uint kSamplePasses = 8;          // the digits of top-k, then those of top-p
const uint kSampleMassBits = 26;       // the mass of the likeliest token is 2^26
const uint kSampleLimbBits = 13;       // a bin is two words: the mass above these bits, and below
const uint kSampleMaxTokens = 262144;  // more could pass a word

// Few tokens are likely enough to matter. sample_bound.comp guesses from a part of the vocabulary
// above which key they are, sample_collect.comp lists all tokens above it, in no order, and the
// passes read the list where it turns out to hold all that the filters can keep, else the
// vocabulary. So a wrong guess costs time and changes nothing.
const uint kSampleStride = 64;         // one of so many tokens is looked at for the guess
const uint kSampleLevels = 64;         // logits that the guess distinguishes
const uint kSampleListTokens = 16384;  // most tokens of a list
const uint kSampleListSlice = 1024;    // of a list, for one workgroup
const uint kSampleNoList = 0xffffffffu;

// The lists begin with grids of 3 words. A row of them: five words, then tokens.
const uint kSampleGridSelect = 0, kSampleGridDraw = 3, kSampleGridWords = 8;
const uint kSampleListSize = 0;   // tokens above the bound; more than fit: it is no list
const uint kSampleListAll = 1;    // two words: the mass of all tokens, where top-p comes first
const uint kSampleListMass = 3;   // two words: the mass of those above the bound, likewise
const uint kSampleListFirst = 5;  // the first token

const uint kSampleBindLogits = 0, kSampleBindMask = 1, kSampleBindPartial = 2, kSampleBindBest = 3,
           kSampleBindRows = 4, kSampleBindStates = 5, kSampleBindBins = 6, kSampleBindLists = 7,
           kSampleBindings = 8;
const uint kSampleSpecLanes = 0, kSampleSpecMerge = 1;  // the second: sample_draw.comp alone

struct SampleRow {            // 32 bytes; written by the host
  float inverse_temperature;  // 0: the row is greedy, and nothing is drawn
  uint top_k;                 // 0: off
  float top_p;                // 1: off
  float least_scaled_logit;   // of min-p: log(min_p), not above 0
  uint seed_low, seed_high;
  uint position;  // of the token to be drawn, in its sequence
  uint unused;
};
PARAMS_SIZE(SampleRow, 32)

struct SampleState {  // 32 bytes; what is known before a pass
  float best_logit;
  uint least_key;              // no token with a lesser key is left
  uint digits;                 // found so far of the key that is looked for, the others 0
  uint above_high, above_low;  // number or mass of what has greater digits
  float target;                // number or mass to be reached
  uint list_key;               // tokens of this key and above are listed; kSampleNoList: none
  uint n_listed;               // tokens that hold all that is left; kSampleNoList: the vocabulary
};
PARAMS_SIZE(SampleState, 32)

struct SampleEntry {  // 8 bytes; as large as ArgmaxEntry, whose buffer it uses
  float time;
  uint token;
};
PARAMS_SIZE(SampleEntry, 8)

struct SampleParams {  // push constants
  uint vocab_size;
  uint logits_stride;
  uint mask_stride;
  uint pass;         // sample_select.comp: 0 to kSamplePasses - 1
  uint list_tokens;  // room in a row of the lists
};
PARAMS_SIZE(SampleParams, 20)

#include "shaders/params/end.h"

#endif
