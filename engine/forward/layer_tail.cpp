#include "engine/forward/layer_tail.h"

#include <array>

#include "shaders/params/norm.h"

namespace preflight::forward {

Result<LayerTail> LayerTail::create(Kernels& kernels, const model::ModelConfig& config,
                                    const CommonLayerWeights& weights, const vk::Buffer& next_norm,
                                    const LayerTailBuffers& buffers) {
  const std::uint32_t dim = padded(config.model_dim);
  const std::uint32_t ffn_dim = padded(config.ffn_dim);
  LayerTail tail;
  PREFLIGHT_TRY(tail.output, make_product(kernels, weights.o,
                                          {.x = vk::whole(buffers.attended),
                                           .y = vk::whole(buffers.branch),
                                           .x_stride = buffers.attended_stride,
                                           .y_stride = dim,
                                           .quantised = buffers.quantised}));
  PREFLIGHT_TRY(tail.gate_up,
                make_gate_up(kernels, weights.gate, weights.up, vk::whole(buffers.normed), dim,
                             vk::whole(buffers.gated), ffn_dim, buffers.quantised));
  PREFLIGHT_TRY(tail.down, make_product(kernels, weights.down,
                                        {.x = vk::whole(buffers.gated),
                                         .y = vk::whole(buffers.branch),
                                         .x_stride = ffn_dim,
                                         .y_stride = dim,
                                         .quantised = buffers.quantised}));
  const auto quantise = [&](const vk::Buffer& x, std::uint32_t x_stride,
                            const ProductOp& reader) -> Result<QuantiseOp> {
    if (buffers.quantised == nullptr) return QuantiseOp();
    const ProductOp* const readers[] = {&reader};
    return QuantiseOp::create(kernels, vk::whole(x), x_stride, *buffers.quantised, readers);
  };
  PREFLIGHT_TRY(tail.quantise_attended,
                quantise(buffers.attended, buffers.attended_stride, tail.output));
  PREFLIGHT_TRY(tail.quantise_normed, quantise(buffers.normed, dim, tail.gate_up));
  PREFLIGHT_TRY(tail.quantise_gated, quantise(buffers.gated, ffn_dim, tail.down));

  PREFLIGHT_TRY(
      const vk::Pipeline* norm,
      kernels.pipeline("norm_residual" + kernels.act_suffix(), params::kNormResidualBindings,
                       sizeof(params::NormResidualParams), {kernels.options().tuning.norm_lanes}));
  const auto norm_residual = [&](const vk::Buffer& post, const vk::Buffer& next,
                                 float scalar) -> Result<RowOp> {
    const std::array<vk::Slice, params::kNormResidualBindings> slices = {
        vk::whole(buffers.branch), vk::whole(post), vk::whole(buffers.residual), vk::whole(next),
        vk::whole(buffers.normed)};
    PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*norm, slices));
    return RowOp::of(norm, bindings,
                     params::NormResidualParams{.row_size = config.model_dim,
                                                .x_stride = dim,
                                                .h_stride = dim,
                                                .y_stride_vec4 = dim / 4,
                                                .epsilon = config.rms_norm_eps,
                                                .layer_scalar = scalar});
  };
  PREFLIGHT_TRY(tail.after_attention,
                norm_residual(weights.post_attention_norm, weights.ffn_norm, 1.0f));
  PREFLIGHT_TRY(tail.after_ffn,
                norm_residual(weights.post_ffn_norm, next_norm, weights.layer_scalar));
  return tail;
}

void LayerTail::record(vk::CommandList& list, std::uint32_t n_rows, Phase phase) const {
  quantise_attended.record(list, n_rows, phase);
  output.record(list, n_rows, phase);
  list.barrier();
  after_attention.record(list, n_rows);
  list.barrier();
  quantise_normed.record(list, n_rows, phase);
  gate_up.record(list, n_rows, phase);
  list.barrier();
  quantise_gated.record(list, n_rows, phase);
  down.record(list, n_rows, phase);
  list.barrier();
  after_ffn.record(list, n_rows);
}

}  // namespace preflight::forward
