#include "engine/forward/decoder.h"

#include <algorithm>
#include <array>

#include "engine/forward/step_inputs.h"
#include "engine/model/half.h"
#include "shaders/params/norm.h"

namespace preflight::forward {

Result<std::unique_ptr<Decoder>> Decoder::create(vk::Device& device, vk::Submitter& submitter,
                                                 Kernels& kernels, const model::ModelConfig& config,
                                                 const ModelWeights& weights, Arena& arena,
                                                 const ArenaPlan& plan) {
  std::unique_ptr<Decoder> decoder(new Decoder(device, submitter, kernels, config, arena, plan));
  const Tuning& tuning = decoder->tuning_;
  const std::uint32_t dim = padded(config.model_dim);

  PREFLIGHT_TRY(decoder->embed_,
                make_embed(kernels, weights.embedding, config, arena, arena.residual));

  PREFLIGHT_TRY(const vk::Pipeline* rms_norm,
                kernels.pipeline("rms_norm" + kernels.act_suffix(), params::kRmsNormBindings,
                                 sizeof(params::RmsNormParams), {tuning.norm_lanes, 1}));
  const std::array<vk::Slice, params::kRmsNormBindings> first_norm = {
      vk::whole(arena.residual), vk::whole(weights.layers.front().attn_norm),
      vk::whole(arena.normed)};
  PREFLIGHT_TRY(const vk::BindingSet* first_bindings, kernels.bind(*rms_norm, first_norm));
  decoder->first_norm_ = RowOp::of(rms_norm, first_bindings,
                                   params::RmsNormParams{.row_size = config.model_dim,
                                                         .x_stride = dim,
                                                         .y_stride_vec4 = dim / 4,
                                                         .epsilon = config.rms_norm_eps});

  for (std::uint32_t ix = 0; ix < config.n_layers; ix++) {
    PREFLIGHT_TRY(LayerOps layer, decoder->make_layer(kernels, weights, ix));
    decoder->layers_.push_back(std::move(layer));
  }

  const vk::Slice head_rows = vk::whole(arena.head_rows);
  PREFLIGHT_TRY(decoder->head_product_,
                make_product(kernels, weights.head ? *weights.head : weights.embedding,
                             {.x = vk::whole(arena.normed),
                              .y = vk::whole(arena.logits),
                              .x_stride = dim,
                              .y_stride = config.vocab_size,
                              .gather_rows = &head_rows,
                              .soft_cap = config.logit_softcap.value_or(0.0f)}));

  PREFLIGHT_TRY(decoder->argmax_, make_argmax(kernels, arena, config.vocab_size));
  PREFLIGHT_TRY(decoder->sampler_, Sampler::create(kernels, config.vocab_size,
                                                   {.logits = &arena.logits,
                                                    .masks = &arena.masks,
                                                    .partial = &arena.partial,
                                                    .best = &arena.best,
                                                    .rows = &arena.sample_rows,
                                                    .states = &arena.sample_states,
                                                    .bins = &arena.sample_bins,
                                                    .lists = &arena.sample_lists}));
  PREFLIGHT_TRY(decoder->softmax_,
                make_softmax(kernels, arena.logits, arena.softmax, config.vocab_size));
  return decoder;
}

Result<LayerOps> Decoder::make_layer(Kernels& kernels, const ModelWeights& weights,
                                     std::uint32_t ix) {
  const LayerWeights& w = weights.layers[ix];
  const model::LayerKind kind = config_.layer_kinds[ix];
  const AttentionLayout& layout = kind == model::LayerKind::kFull ? plan_.full : plan_.sliding;
  const std::uint32_t dim = padded(config_.model_dim);
  // One room for all products: each is behind a barrier when the next input is rounded.
  const QuantisedInput quantised = {vk::whole(arena_.codes), vk::whole(arena_.code_scales)};
  LayerOps ops;

  std::uint32_t offset = 0;
  for (const WeightMatrix& matrix : w.projections) {
    PREFLIGHT_TRY(ProductOp op, make_product(kernels, matrix,
                                             {.x = vk::whole(arena_.normed),
                                              .y = vk::whole(arena_.qkv),
                                              .x_stride = dim,
                                              .y_stride = layout.qkv_values,
                                              .y_offset = offset,
                                              .quantised = &quantised}));
    ops.projections.push_back(std::move(op));
    offset += static_cast<std::uint32_t>(matrix.shape.rows);
  }
  std::vector<const ProductOp*> projections;
  for (const ProductOp& projection : ops.projections) projections.push_back(&projection);
  PREFLIGHT_TRY(ops.quantise,
                QuantiseOp::create(kernels, vk::whole(arena_.normed), dim, quantised, projections));

  PREFLIGHT_TRY(ops.attention, LayerAttention::create(kernels, plan_, arena_, kind,
                                                      {.qkv = arena_.qkv,
                                                       .q_norm = w.q_norm,
                                                       .k_norm = w.k_norm,
                                                       .pages = arena_.pages[ix],
                                                       .q = arena_.q,
                                                       .attended = arena_.attended},
                                                      {.n_heads = config_.n_heads,
                                                       .qkv_stride = layout.qkv_values,
                                                       .window = config_.sliding_window,
                                                       .epsilon = config_.rms_norm_eps}));

  const bool last = ix + 1 == config_.n_layers;
  PREFLIGHT_TRY(ops.tail,
                LayerTail::create(kernels, config_, w,
                                  last ? weights.output_norm : weights.layers[ix + 1].attn_norm,
                                  {.attended = arena_.attended,
                                   .attended_stride = padded(config_.n_heads * layout.head_dim),
                                   .residual = arena_.residual,
                                   .normed = arena_.normed,
                                   .branch = arena_.branch,
                                   .gated = arena_.gated,
                                   .quantised = &quantised}));
  return ops;
}

void Decoder::record_layer(vk::CommandList& list, const LayerOps& layer, std::uint32_t n_rows,
                           Phase phase) const {
  layer.quantise.record(list, n_rows, phase);
  for (const ProductOp& projection : layer.projections) projection.record(list, n_rows, phase);
  list.barrier();
  layer.attention.record(list, n_rows, phase);
  list.barrier();
  layer.tail.record(list, n_rows, phase);
}

Result<std::vector<vk::CommandList>> Decoder::record_body(std::uint32_t n_rows, Phase phase) const {
  std::vector<vk::CommandList> lists;
  for (std::size_t ix = 0; ix < layers_.size(); ix++) {
    PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
    list.begin();
    if (ix == 0) {
      embed_.record(list, n_rows);
      list.barrier();
      first_norm_.record(list, n_rows);
      list.barrier();
    }
    record_layer(list, layers_[ix], n_rows, phase);
    PREFLIGHT_TRY_VOID(list.end());
    lists.push_back(std::move(list));
  }
  return lists;
}

Result<std::vector<vk::CommandList>> Decoder::record_head(std::uint32_t n_rows,
                                                          bool sampled) const {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
  list.begin();
  if (sampled) sampler_.record_clear(list, n_rows);
  head_product_.record(list, n_rows, Phase::kGenerate);
  list.barrier();
  argmax_.record(list, n_rows);
  if (sampled) {
    list.barrier();
    sampler_.record(list, n_rows);
  }
  PREFLIGHT_TRY_VOID(list.end());
  std::vector<vk::CommandList> lists;
  lists.push_back(std::move(list));
  return lists;
}

Result<std::vector<vk::CommandList>> Decoder::record_softmax(std::uint32_t n_rows) const {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
  list.begin();
  softmax_.record(list, n_rows);
  PREFLIGHT_TRY_VOID(list.end());
  std::vector<vk::CommandList> lists;
  lists.push_back(std::move(list));
  return lists;
}

void Decoder::write_head(const HeadRows& head) {
  const std::size_t n_rows = head.rows.size();
  PREFLIGHT_ASSERT(n_rows > 0 && n_rows <= plan_.max_head_rows && head.masks.size() == n_rows);
  PREFLIGHT_ASSERT(head.sampling.empty() || head.sampling.size() == n_rows);
  PREFLIGHT_ASSERT(head.softmax.size() <= n_rows);
  std::copy(head.rows.begin(), head.rows.end(),
            host_values<std::uint32_t>(arena_.head_rows).begin());
  for (std::uint32_t r = 0; r < n_rows; r++) {
    PREFLIGHT_ASSERT(head.masks[r]->size() == mask_words());
    write_mask(arena_, r, head.masks[r]);
  }
  std::copy(head.sampling.begin(), head.sampling.end(),
            host_values<params::SampleRow>(arena_.sample_rows).begin());
  softmax_rows_.clear();
  for (const SoftmaxRow& row : head.softmax) {
    PREFLIGHT_ASSERT(row.ix < n_rows);
    arena_.softmax.ask(static_cast<std::uint32_t>(softmax_rows_.size()), row.ix, row.tokens);
    softmax_rows_.push_back(row.ix);
  }
}

std::vector<params::ArgmaxEntry> Decoder::best_of(const HeadRows& head) const {
  const auto best = host_values<params::ArgmaxEntry>(arena_.best).first(head.rows.size());
  return {best.begin(), best.end()};
}

Result<std::vector<SegmentCache::Recorded*>> Decoder::find_softmax(const HeadRows& head) {
  std::vector<SegmentCache::Recorded*> found;
  if (head.softmax.empty()) return found;
  const auto n_rows = static_cast<std::uint32_t>(head.softmax.size());
  PREFLIGHT_TRY(SegmentCache::Recorded* const recorded,
                softmaxes_.find(n_rows, Phase::kGenerate, [&] { return record_softmax(n_rows); }));
  found.push_back(recorded);
  return found;
}

Result<std::vector<params::ArgmaxEntry>> Decoder::run(const Step& step, const HeadRows& head,
                                                      const std::function<bool()>& cancelled) {
  const auto n_rows = static_cast<std::uint32_t>(step.rows.size());
  PREFLIGHT_ASSERT(n_rows > 0 && n_rows <= plan_.max_rows);
  write_step(arena_, plan_, config_, step);
  std::vector<SegmentCache::Recorded*> behind;
  if (!head.rows.empty()) {
    write_head(head);
    PREFLIGHT_TRY(behind, find_softmax(head));
    const auto n_head_rows = static_cast<std::uint32_t>(head.rows.size());
    const bool sampled = !head.sampling.empty();
    PREFLIGHT_TRY(SegmentCache::Recorded* const recorded,
                  (sampled ? sampled_head_ : head_).find(n_head_rows, Phase::kGenerate, [&] {
                    return record_head(n_head_rows, sampled);
                  }));
    behind.insert(behind.begin(), recorded);
  }
  PREFLIGHT_TRY_VOID(body_.run(
      submitter_, n_rows, step.phase, [&] { return record_body(n_rows, step.phase); }, cancelled,
      behind));
  return best_of(head);
}

Result<std::vector<params::ArgmaxEntry>> Decoder::head(const HeadRows& head) {
  write_head(head);
  PREFLIGHT_TRY(const std::vector<SegmentCache::Recorded*> behind, find_softmax(head));
  const auto n_rows = static_cast<std::uint32_t>(head.rows.size());
  const bool sampled = !head.sampling.empty();
  PREFLIGHT_TRY_VOID((sampled ? sampled_head_ : head_)
                         .run(
                             submitter_, n_rows, Phase::kGenerate,
                             [&] { return record_head(n_rows, sampled); }, {}, behind));
  return best_of(head);
}

Result<RowSoftmax> Decoder::read_softmax(vk::Uploader& uploader, std::uint32_t ix,
                                         std::span<const std::uint32_t> tokens) const {
  const auto asked = std::find(softmax_rows_.begin(), softmax_rows_.end(), ix);
  PREFLIGHT_ASSERT(asked != softmax_rows_.end());
  const auto query = static_cast<std::uint32_t>(asked - softmax_rows_.begin());
  if (tokens.size() <= params::kSoftmaxTokens) return arena_.softmax.answer(query, tokens.size());
  // More than the device picks: they come with the whole row.
  std::vector<float> row(config_.vocab_size);
  PREFLIGHT_TRY_VOID(read_logits(uploader, ix, row));
  RowSoftmax softmax = arena_.softmax.answer(query, 0);
  for (const std::uint32_t token : tokens) softmax.logits.push_back(row[token]);
  return softmax;
}

Result<void> Decoder::read_logits(vk::Uploader& uploader, std::uint32_t ix,
                                  std::span<float> out) const {
  PREFLIGHT_ASSERT(out.size() == config_.vocab_size && ix < plan_.max_head_rows);
  return uploader.read(arena_.logits, VkDeviceSize{ix} * config_.vocab_size * sizeof(float),
                       std::as_writable_bytes(out));
}

Result<void> Decoder::read_hidden(vk::Uploader& uploader, std::uint32_t row,
                                  std::span<float> out) const {
  PREFLIGHT_ASSERT(out.size() == config_.model_dim && row < plan_.max_rows);
  const VkDeviceSize first = VkDeviceSize{row} * padded(config_.model_dim);
  if (!act16_)
    return uploader.read(arena_.normed, first * sizeof(float), std::as_writable_bytes(out));
  std::vector<std::uint16_t> halves(out.size());
  PREFLIGHT_TRY_VOID(uploader.read(arena_.normed, first * sizeof(std::uint16_t),
                                   std::as_writable_bytes(std::span(halves))));
  std::transform(halves.begin(), halves.end(), out.begin(), model::float_from_half);
  return {};
}

Result<void> Decoder::copy_pages(std::span<const kv::PageCopy> copies) {
  if (copies.empty()) return {};
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
  list.begin();
  for (std::uint32_t ix = 0; ix < config_.n_layers; ix++) {
    const bool full = config_.layer_kinds[ix] == model::LayerKind::kFull;
    const AttentionLayout& layout = full ? plan_.full : plan_.sliding;
    const auto copy = [&](const vk::Buffer& plane, std::uint32_t dim, const kv::PageCopy& pages) {
      const VkDeviceSize bytes =
          VkDeviceSize{layout.n_kv_heads} * params::kPageTokens * dim * (kv16_ ? 2 : 4);
      list.copy({&plane, pages.from * bytes, bytes}, {&plane, pages.to * bytes, bytes});
    };
    for (const kv::PageCopy& pages : copies) {
      if (pages.full != full) continue;
      copy(arena_.pages[ix].keys, layout.key_dim, pages);
      copy(arena_.pages[ix].values, layout.head_dim, pages);
    }
  }
  PREFLIGHT_TRY_VOID(list.end());
  const vk::CommandList* const lists[] = {&list};
  PREFLIGHT_TRY([[maybe_unused]] const double ms, submitter_.run(lists));
  return {};
}

std::uint32_t Decoder::chunk_rows() const {
  const double per_row = body_.segment_ms_per_row();
  std::uint32_t rows = tuning_.chunk_rows;
  // The first chunk of an unmeasured device stays small; later ones follow the measured rate.
  if (tuning_.submission_ms < 1000.0)
    rows = per_row <= 0 ? 64
                        : static_cast<std::uint32_t>(std::clamp(tuning_.submission_ms / per_row,
                                                                32.0, static_cast<double>(rows)));
  return std::min(rows, plan_.max_rows);
}

}  // namespace preflight::forward
