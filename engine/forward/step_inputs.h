#pragma once

#include "engine/forward/arena.h"
#include "engine/forward/step.h"
#include "engine/model/model_config.h"

namespace preflight::forward {

/// Writes what the kernels read of a step's rows into the arena: row infos, page tables, rotations,
/// soft tokens. Not while a submission reads them.
void write_step(Arena& arena, const ArenaPlan& plan, const model::ModelConfig& config,
                const Step& step);

/// Writes the mask of a head row, unless the arena holds it already. Not while a submission reads
/// it.
void write_mask(Arena& arena, std::uint32_t head_row, const TokenMask& mask);

}  // namespace preflight::forward
