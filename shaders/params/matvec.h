#ifndef PREFLIGHT_SHADERS_PARAMS_MATVEC_H
#define PREFLIGHT_SHADERS_PARAMS_MATVEC_H

#include "shaders/params/begin.h"

// matvec.comp and gate_up_vec.comp, which take the bindings and push constants of matmul.comp and
// gate_up.comp (params/matmul.h). Their workgroup is teams of kLanes invocations.
const uint kMatvecSpecThreads = 0,  // of a workgroup: lanes times teams
    kMatvecSpecLanes = 1,           // rows of a weight group; a multiple of the subgroup
    kMatvecSpecRows = 2,            // weight rows of a lane
    kMatvecSpecColumns = 3,         // activation rows of a workgroup
    kMatvecSpecPiece = 4,           // groups of 4 weights decoded at once
    kMatvecSpecEpilogue = 5;        // matvec.comp

const uint kMatvecChunk = 4;  // blocks that a team takes at a time

#include "shaders/params/end.h"

#endif
