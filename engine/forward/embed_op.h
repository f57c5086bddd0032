#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/forward/arena.h"
#include "engine/forward/kernels.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// The rows that enter the first layer: scaled embeddings of the arena's row infos, or soft rows.
struct EmbedOp {
  std::vector<RowOp> parts;  ///< by part of the table

  void record(vk::CommandList& list, std::uint32_t n_rows) const;
};

/// The variant of embed.comp that reads a table as it lies.
[[nodiscard]] std::string embed_shader(const WeightShape& shape);

/// `rows` f32 [rows, padded(config.model_dim)].
[[nodiscard]] Result<EmbedOp> make_embed(Kernels& kernels, const WeightMatrix& table,
                                         const model::ModelConfig& config, const Arena& arena,
                                         const vk::Buffer& rows);

}  // namespace preflight::forward
