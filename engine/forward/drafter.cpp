#include "engine/forward/drafter.h"

#include <algorithm>
#include <array>
#include <string>

#include "engine/forward/step_inputs.h"
#include "shaders/params/draft.h"
#include "shaders/params/norm.h"

namespace preflight::forward {
namespace {

using model::LayerKind;

/// The layer whose keys and values drafter layers of this kind read: the target's last of the kind.
std::uint32_t last_layer(const model::ModelConfig& target, LayerKind kind) {
  const auto last = std::find(target.layer_kinds.rbegin(), target.layer_kinds.rend(), kind);
  PREFLIGHT_ASSERT(last != target.layer_kinds.rend());
  return static_cast<std::uint32_t>(target.layer_kinds.rend() - last) - 1;
}

}  // namespace

Result<std::unique_ptr<Drafter>> Drafter::create(vk::Device& device, vk::Submitter& submitter,
                                                 Kernels& kernels,
                                                 const model::DrafterConfig& config,
                                                 const DrafterWeights& weights,
                                                 const model::ModelConfig& target,
                                                 const ModelWeights& target_weights,
                                                 Arena& target_arena, const ArenaPlan& plan) {
  PREFLIGHT_TRY(DraftArena own, DraftArena::create(device, config, plan, kernels.options().act16));
  PREFLIGHT_TRY_VOID(own.clear(device, submitter));
  std::unique_ptr<Drafter> drafter(
      new Drafter(device, submitter, kernels, config, target, target_arena, plan, std::move(own)));
  PREFLIGHT_TRY_VOID(drafter->make_input(kernels, weights, target_weights));
  for (std::uint32_t ix = 0; ix < config.layers.n_layers; ix++) {
    PREFLIGHT_TRY(DraftLayerOps layer, drafter->make_layer(kernels, weights, target_weights, ix));
    drafter->layers_.push_back(std::move(layer));
  }
  PREFLIGHT_TRY_VOID(drafter->make_head(kernels, weights));
  return drafter;
}

/// Embedding and hidden row, down to the drafter's own width.
Result<void> Drafter::make_input(Kernels& kernels, const DrafterWeights& weights,
                                 const ModelWeights& target_weights) {
  const std::uint32_t target_dim = padded(config_.target_dim);
  const std::uint32_t dim = padded(config_.layers.model_dim);

  PREFLIGHT_TRY(embed_,
                make_embed(kernels, target_weights.embedding, target_, shared_, own_.embedded));

  const std::uint32_t input_stride = padded(2 * config_.target_dim);
  const auto input = [&](const std::string& shader, const vk::Buffer& hidden) -> Result<RowOp> {
    PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                  kernels.pipeline(shader, params::kDraftInputBindings,
                                   sizeof(params::DraftInputParams), {tuning_.norm_lanes}));
    const std::array<vk::Slice, params::kDraftInputBindings> slices = {
        vk::whole(own_.embedded), vk::whole(hidden), vk::whole(shared_.head_rows),
        vk::whole(own_.input)};
    PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
    return RowOp::of(pipeline, bindings,
                     params::DraftInputParams{.target_dim = config_.target_dim,
                                              .embedding_stride_vec4 = target_dim / 4,
                                              .hidden_stride_vec4 = target_dim / 4,
                                              .x_stride_vec4 = input_stride / 4});
  };
  const std::string suffix = kernels.act_suffix();
  PREFLIGHT_TRY(
      input_from_target_,
      input("draft_input" + suffix + (suffix.empty() ? "" : "_hidden16"), shared_.normed));
  PREFLIGHT_TRY(input_from_draft_, input("draft_input" + suffix, own_.hidden));

  PREFLIGHT_TRY(pre_projection_, make_product(kernels, weights.pre_projection,
                                              {.x = vk::whole(own_.input),
                                               .y = vk::whole(own_.residual),
                                               .x_stride = input_stride,
                                               .y_stride = dim}));
  PREFLIGHT_TRY(const vk::Pipeline* norm,
                kernels.pipeline("rms_norm" + suffix, params::kRmsNormBindings,
                                 sizeof(params::RmsNormParams), {tuning_.norm_lanes, 1}));
  const std::array<vk::Slice, params::kRmsNormBindings> norm_slices = {
      vk::whole(own_.residual), vk::whole(weights.layers.front().attn_norm),
      vk::whole(own_.normed)};
  PREFLIGHT_TRY(const vk::BindingSet* norm_bindings, kernels.bind(*norm, norm_slices));
  first_norm_ = RowOp::of(norm, norm_bindings,
                          params::RmsNormParams{.row_size = config_.layers.model_dim,
                                                .x_stride = dim,
                                                .y_stride_vec4 = dim / 4,
                                                .epsilon = config_.layers.rms_norm_eps});
  return {};
}

Result<DraftLayerOps> Drafter::make_layer(Kernels& kernels, const DrafterWeights& weights,
                                          const ModelWeights& target_weights, std::uint32_t ix) {
  const model::ModelConfig& config = config_.layers;
  const CommonLayerWeights& w = weights.layers[ix];
  const LayerKind kind = config.layer_kinds[ix];
  const std::uint32_t source = last_layer(target_, kind);
  const AttentionLayout& layout = kind == LayerKind::kFull ? plan_.full : plan_.sliding;
  const std::uint32_t dim = padded(config.model_dim);
  const std::uint32_t q_values = config.n_heads * layout.head_dim;
  DraftLayerOps ops;

  PREFLIGHT_TRY(ops.q, make_product(kernels, w.projections.front(),
                                    {.x = vk::whole(own_.normed),
                                     .y = vk::whole(own_.raw_q),
                                     .x_stride = dim,
                                     .y_stride = q_values}));
  // The key norm is the target's: it stands in the query where the values serve as keys. A row's
  // position is its newest key; the window is that of the position behind it.
  PREFLIGHT_TRY(ops.attention,
                LayerAttention::create(kernels, plan_, shared_, kind,
                                       {.qkv = own_.raw_q,
                                        .q_norm = w.q_norm,
                                        .k_norm = target_weights.layers[source].k_norm,
                                        .pages = shared_.pages[source],
                                        .q = own_.q,
                                        .attended = own_.attended},
                                       {.n_heads = config.n_heads,
                                        .qkv_stride = q_values,
                                        .stores = false,
                                        .window = config.sliding_window - kDraftRopeOffset,
                                        .epsilon = config.rms_norm_eps}));

  const bool last = ix + 1 == config.n_layers;
  PREFLIGHT_TRY(ops.tail,
                LayerTail::create(kernels, config, w,
                                  last ? weights.output_norm : weights.layers[ix + 1].attn_norm,
                                  {.attended = own_.attended,
                                   .attended_stride = padded(q_values),
                                   .residual = own_.residual,
                                   .normed = own_.normed,
                                   .branch = own_.branch,
                                   .gated = own_.gated,
                                   .quantised = nullptr}));
  return ops;
}

/// Logits, the next hidden row, and the best token.
Result<void> Drafter::make_head(Kernels& kernels, const DrafterWeights& weights) {
  const std::uint32_t dim = padded(config_.layers.model_dim);
  const std::uint32_t vocab_size = config_.layers.vocab_size;
  PREFLIGHT_TRY(head_, make_product(kernels, weights.head,
                                    {.x = vk::whole(own_.normed),
                                     .y = vk::whole(shared_.logits),
                                     .x_stride = dim,
                                     .y_stride = vocab_size,
                                     .soft_cap = config_.layers.logit_softcap.value_or(0.0f)}));
  PREFLIGHT_TRY(post_projection_, make_product(kernels, weights.post_projection,
                                               {.x = vk::whole(own_.normed),
                                                .y = vk::whole(own_.hidden),
                                                .x_stride = dim,
                                                .y_stride = padded(config_.target_dim)}));
  PREFLIGHT_TRY(argmax_, make_argmax(kernels, shared_, vocab_size));

  PREFLIGHT_TRY(const vk::Pipeline* next, kernels.pipeline("draft_next", params::kDraftNextBindings,
                                                           sizeof(params::DraftNextParams), {}));
  const std::array<vk::Slice, params::kDraftNextBindings> slices = {
      vk::whole(shared_.best), vk::whole(shared_.row_infos), vk::whole(shared_.head_rows),
      vk::whole(own_.tokens)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*next, slices));
  for (std::uint32_t i = 0; i < kMaxDraftSteps; i++)
    next_.push_back(
        RowOp::of(next, bindings, params::DraftNextParams{.first_token = i * plan_.max_head_rows}));
  return {};
}

void Drafter::record_layer(vk::CommandList& list, const DraftLayerOps& layer,
                           std::uint32_t n_rows) const {
  layer.q.record(list, n_rows, Phase::kGenerate);
  list.barrier();
  layer.attention.record(list, n_rows, Phase::kGenerate);
  list.barrier();
  layer.tail.record(list, n_rows, Phase::kGenerate);
  list.barrier();
}

Result<std::vector<vk::CommandList>> Drafter::record(std::uint32_t n_rows, HiddenRows from,
                                                     std::uint32_t n_steps) const {
  std::vector<vk::CommandList> lists;
  for (std::uint32_t step = 0; step < n_steps; step++) {
    PREFLIGHT_TRY(vk::CommandList list,
                  record_step(n_rows, step == 0 ? from : HiddenRows::kDraft, step));
    lists.push_back(std::move(list));
  }
  return lists;
}

Result<vk::CommandList> Drafter::record_step(std::uint32_t n_rows, HiddenRows from,
                                             std::uint32_t step) const {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device_));
  list.begin();
  embed_.record(list, n_rows);
  list.barrier();
  (from == HiddenRows::kTarget ? input_from_target_ : input_from_draft_).record(list, n_rows);
  list.barrier();
  pre_projection_.record(list, n_rows, Phase::kGenerate);
  list.barrier();
  first_norm_.record(list, n_rows);
  list.barrier();
  for (const DraftLayerOps& layer : layers_) record_layer(list, layer, n_rows);
  head_.record(list, n_rows, Phase::kGenerate);
  post_projection_.record(list, n_rows, Phase::kGenerate);
  list.barrier();
  argmax_.record(list, n_rows);
  list.barrier();
  next_[step].record(list, n_rows);
  PREFLIGHT_TRY_VOID(list.end());
  return list;
}

Result<std::vector<std::uint32_t>> Drafter::draft(std::span<const DraftRow> rows, HiddenRows from,
                                                  std::uint32_t n_steps) {
  const auto n_rows = static_cast<std::uint32_t>(rows.size());
  PREFLIGHT_ASSERT(n_rows > 0 && n_rows <= plan_.max_head_rows);
  PREFLIGHT_ASSERT(n_steps > 0 && n_steps <= kMaxDraftSteps);
  Step step;
  const auto hidden_rows = host_values<std::uint32_t>(shared_.head_rows);
  for (std::uint32_t r = 0; r < n_rows; r++) {
    const DraftRow& row = rows[r];
    step.sequences.push_back(row.pages);
    step.rows.push_back({.sequence = r,
                         .position = row.newest_key,
                         .rope_position = row.newest_key + kDraftRopeOffset,
                         .last_visible = row.newest_key,
                         .token = row.token,
                         .soft_row = nullptr});
    hidden_rows[r] = row.hidden_row;
    write_mask(shared_, r, row.mask);
  }
  write_step(shared_, plan_, target_, step);
  auto& caches = from == HiddenRows::kTarget ? after_target_ : after_draft_;
  PREFLIGHT_TRY_VOID(caches[n_steps - 1].run(submitter_, n_rows, Phase::kGenerate,
                                             [&] { return record(n_rows, from, n_steps); }, {}));
  const auto drafted = host_values<std::uint32_t>(own_.tokens);
  std::vector<std::uint32_t> tokens;
  for (std::uint32_t i = 0; i < n_steps; i++) {
    const auto first = drafted.begin() + static_cast<std::ptrdiff_t>(i * plan_.max_head_rows);
    tokens.insert(tokens.end(), first, first + n_rows);
  }
  return tokens;
}

Result<void> Drafter::read_logits(vk::Uploader& uploader, std::uint32_t ix,
                                  std::span<float> out) const {
  PREFLIGHT_ASSERT(out.size() == config_.layers.vocab_size && ix < plan_.max_head_rows);
  return uploader.read(shared_.logits, VkDeviceSize{ix} * out.size() * sizeof(float),
                       std::as_writable_bytes(out));
}

}  // namespace preflight::forward
