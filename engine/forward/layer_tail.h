#pragma once

#include <cstdint>

#include "engine/forward/dot_products.h"
#include "engine/forward/kernels.h"
#include "engine/forward/layer_weights.h"
#include "engine/model/model_config.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// What the rest of a layer works on; shapes as in Arena and DraftArena.
struct LayerTailBuffers {
  const vk::Buffer& attended;
  std::uint32_t attended_stride;  ///< values
  const vk::Buffer& residual;
  const vk::Buffer& normed;
  const vk::Buffer& branch;
  const vk::Buffer& gated;
  const QuantisedInput* quantised;  ///< as in ProductOptions
};

/// A layer from the attention's result on, as dispatches bound at load: the same in the model and
/// in the drafter.
struct LayerTail {
  QuantiseOp quantise_attended, quantise_normed, quantise_gated;  ///< each for the product after it
  ProductOp output;
  RowOp after_attention;  ///< h += norm(branch), normed = ffn norm
  ProductOp gate_up;
  ProductOp down;
  RowOp after_ffn;  ///< h = (h + norm(branch)) * scalar, normed = the next layer's input norm

  /// `next_norm` is the next layer's input norm, after the last layer the output norm.
  [[nodiscard]] static Result<LayerTail> create(Kernels& kernels, const model::ModelConfig& config,
                                                const CommonLayerWeights& weights,
                                                const vk::Buffer& next_norm,
                                                const LayerTailBuffers& buffers);
  void record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const;
};

}  // namespace preflight::forward
