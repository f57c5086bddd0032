#pragma once

#include <cstdint>

#include "engine/forward/arena.h"
#include "engine/forward/attention_op.h"
#include "engine/forward/kernels.h"
#include "engine/forward/step.h"
#include "engine/model/model_config.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// What a layer's attention works on beside the arena's row infos, page tables, rotations and
/// partial results; shapes as in Arena and DraftArena.
struct LayerAttentionBuffers {
  const vk::Buffer& qkv;  ///< raw projections, or those of the queries alone
  const vk::Buffer& q_norm;
  const vk::Buffer& k_norm;
  const LayerPages& pages;
  const vk::Buffer& q;
  const vk::Buffer& attended;
};

struct LayerAttentionSizes {
  std::uint32_t n_heads = 0;     ///< of queries
  std::uint32_t qkv_stride = 0;  ///< values
  bool stores = true;            ///< the rows' keys and values stand in qkv and go to their pages
  std::uint32_t window = 0;      ///< keys that a row of a sliding layer sees
  float epsilon = 0;
};

/// A layer from its projections to the attended values, as dispatches bound at load: the same in
/// the model and in the drafter.
struct LayerAttention {
  RowOp input;  ///< norms and rotation of queries and keys; stores keys and values
  AttentionOp attention;

  [[nodiscard]] static Result<LayerAttention> create(Kernels& kernels, const ArenaPlan& plan,
                                                     const Arena& arena, model::LayerKind kind,
                                                     const LayerAttentionBuffers& buffers,
                                                     const LayerAttentionSizes& sizes);
  void record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const;
};

}  // namespace preflight::forward
