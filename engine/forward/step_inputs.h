#pragma once

#include "engine/forward/arena.h"
#include "engine/forward/step.h"
#include "engine/model/model_config.h"

namespace preflight::forward {

/// Writes what the kernels read of a step's rows into the arena: row infos, page tables, rotations,
/// soft tokens. Not while a submission reads them.
void write_step(Arena& arena, const ArenaPlan& plan, const model::ModelConfig& config,
                const Step& step);

}  // namespace preflight::forward
