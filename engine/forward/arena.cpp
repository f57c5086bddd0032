#include "engine/forward/arena.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/forward/attention_op.h"
#include "engine/forward/sampler.h"
#include "shaders/params/argmax.h"
#include "shaders/params/step.h"

namespace preflight::forward {
namespace {

std::uint32_t last_rotated(const std::vector<float>& inv_freq) {
  std::uint32_t n = 0;
  for (std::uint32_t i = 0; i < inv_freq.size(); i++)
    if (inv_freq[i] != 0.0f) n = i + 1;
  return n;
}

/// Sizes of the arena's buffers in bytes, in one place for the plan and for the making.
struct ArenaSizes {
  std::uint64_t residual, normed, qkv, q, attended, ranges, branch, gated, codes, code_scales;
  std::uint64_t logits, partial, best, softmax;
  std::uint64_t sample_states, sample_bins, sample_lists;
  std::uint64_t row_infos, page_tables, sliding_rope, full_rope, soft, head_rows, masks,
      sample_rows;

  ArenaSizes(const model::ModelConfig& c, const ArenaPlan& p, bool act16) {
    const std::uint64_t rows = p.max_rows;
    const std::uint64_t act = act16 ? 2 : 4;
    const std::uint64_t dim = padded(c.model_dim);
    const std::uint64_t mask_words = (c.vocab_size + 31) / 32;
    const std::uint64_t tables =
        std::uint64_t{2} * p.max_sequences * (p.context_tokens / params::kPageTokens + 1);
    residual = rows * dim * 4;
    normed = rows * dim * act;
    qkv = rows * std::max(p.sliding.qkv_values, p.full.qkv_values) * 4;
    q = rows * c.n_heads * std::max(p.sliding.q_values, p.full.q_values) * 4;
    const std::uint64_t attended_dim =
        std::max(padded(c.n_heads * p.sliding.head_dim), padded(c.n_heads * p.full.head_dim));
    attended = rows * attended_dim * act;
    // Where nobody keeps any, something must still be bound.
    ranges = p.attention_tiles ? attention_partial_bytes(p, c) : 16;
    branch = rows * dim * 4;
    gated = rows * padded(c.ffn_dim) * act;
    const std::uint64_t longest = std::max({dim, attended_dim, std::uint64_t{padded(c.ffn_dim)}});
    codes = p.quantised ? rows * longest : 16;
    code_scales = p.quantised ? rows * longest / params::kWeightBlock * 8 : 16;
    logits = std::uint64_t{p.max_head_rows} * c.vocab_size * 4;
    partial = std::uint64_t{p.max_head_rows} * params::kArgmaxSlices * sizeof(params::ArgmaxEntry);
    best = p.max_head_rows * sizeof(params::ArgmaxEntry);
    softmax = SoftmaxBuffers::bytes(p.max_head_rows);
    sample_states = p.max_head_rows * kSampleStateBytes;
    sample_bins = p.max_head_rows * kSampleBinBytes;
    sample_lists = sample_lists_bytes(p.max_head_rows, c.vocab_size);
    row_infos = rows * sizeof(params::RowInfo);
    page_tables = tables * 4;
    sliding_rope = std::max<std::uint64_t>(rows * p.sliding.n_rotated * 8, 8);
    full_rope = std::max<std::uint64_t>(rows * p.full.n_rotated * 8, 8);
    soft = rows * c.model_dim * 4;
    head_rows = std::uint64_t{p.max_head_rows} * 4;
    masks = p.max_head_rows * mask_words * 4;
    sample_rows = p.max_head_rows * sizeof(params::SampleRow);
  }
  [[nodiscard]] std::uint64_t total() const {
    return residual + normed + qkv + q + attended + ranges + branch + gated + codes + code_scales +
           logits + partial + best + softmax + sample_states + sample_bins + sample_lists +
           sample_rows + row_infos + page_tables + sliding_rope + full_rope + soft + head_rows +
           masks;
  }
};

std::uint64_t plane_bytes(const AttentionLayout& layout, std::uint32_t dim, std::uint32_t n_pages,
                          bool kv16) {
  return std::uint64_t{n_pages} * layout.n_kv_heads * params::kPageTokens * dim * (kv16 ? 2 : 4);
}

}  // namespace

AttentionLayout AttentionLayout::of(const model::ModelConfig& config, model::LayerKind kind) {
  const bool full = kind == model::LayerKind::kFull;
  const model::AttentionShape& shape = config.attention(kind);
  AttentionLayout layout;
  if (shape.head_dim == 0) return layout;  // the model has no such layer
  layout.head_dim = shape.head_dim;
  layout.n_kv_heads = shape.n_kv_heads;
  layout.n_rotated = last_rotated(full ? config.full_inv_freq : config.sliding_inv_freq);
  layout.folded = full && config.full_value_is_key;
  layout.key_dim =
      layout.folded ? std::max(4u, (2 * layout.n_rotated + 3) / 4 * 4) : shape.head_dim;
  layout.q_values = layout.key_dim + (layout.folded ? shape.head_dim : 0);
  layout.k_offset = config.n_heads * shape.head_dim;
  layout.v_offset = layout.k_offset + (layout.folded ? 0 : shape.n_kv_heads * shape.head_dim);
  layout.qkv_values = layout.v_offset + shape.n_kv_heads * shape.head_dim;
  return layout;
}

std::uint64_t ArenaPlan::arena_bytes(const model::ModelConfig& config, bool act16) const {
  return ArenaSizes(config, *this, act16).total();
}

std::uint64_t ArenaPlan::page_bytes(const model::ModelConfig& config, bool kv16) const {
  std::uint64_t bytes = 0;
  for (const model::LayerKind kind : config.layer_kinds) {
    const bool is_full = kind == model::LayerKind::kFull;
    const AttentionLayout& layout = is_full ? full : sliding;
    const std::uint32_t n_pages = is_full ? full_pages : sliding_pages;
    bytes += plane_bytes(layout, layout.key_dim, n_pages, kv16) +
             plane_bytes(layout, layout.head_dim, n_pages, kv16);
  }
  return bytes;
}

Result<Arena> Arena::create(vk::Device& device, const model::ModelConfig& config,
                            const ArenaPlan& plan, bool act16, bool kv16) {
  const ArenaSizes sizes(config, plan, act16);
  const auto make = [&](std::uint64_t bytes, vk::Residency residency, const char* label) {
    return vk::Buffer::create(device, bytes, residency, label);
  };
  using enum vk::Residency;
  PREFLIGHT_TRY(vk::Buffer residual, make(sizes.residual, kDevice, "residual"));
  PREFLIGHT_TRY(vk::Buffer normed, make(sizes.normed, kDevice, "normed"));
  PREFLIGHT_TRY(vk::Buffer qkv, make(sizes.qkv, kDevice, "qkv"));
  PREFLIGHT_TRY(vk::Buffer q, make(sizes.q, kDevice, "q"));
  PREFLIGHT_TRY(vk::Buffer attended, make(sizes.attended, kDevice, "attended"));
  PREFLIGHT_TRY(vk::Buffer ranges, make(sizes.ranges, kDevice, "attention ranges"));
  PREFLIGHT_TRY(vk::Buffer branch, make(sizes.branch, kDevice, "branch"));
  PREFLIGHT_TRY(vk::Buffer gated, make(sizes.gated, kDevice, "gated"));
  PREFLIGHT_TRY(vk::Buffer codes, make(sizes.codes, kDevice, "codes"));
  PREFLIGHT_TRY(vk::Buffer code_scales, make(sizes.code_scales, kDevice, "code scales"));
  PREFLIGHT_TRY(vk::Buffer logits, make(sizes.logits, kDevice, "logits"));
  PREFLIGHT_TRY(vk::Buffer partial, make(sizes.partial, kDevice, "argmax slices"));
  PREFLIGHT_TRY(vk::Buffer best, make(sizes.best, kReadback, "argmax"));
  PREFLIGHT_TRY(SoftmaxBuffers softmax, SoftmaxBuffers::create(device, plan.max_head_rows));
  PREFLIGHT_TRY(vk::Buffer sample_states, make(sizes.sample_states, kDevice, "sampling states"));
  PREFLIGHT_TRY(vk::Buffer sample_bins, make(sizes.sample_bins, kDevice, "sampling histograms"));
  PREFLIGHT_TRY(vk::Buffer sample_lists, make(sizes.sample_lists, kDevice, "sampling lists"));
  PREFLIGHT_TRY(vk::Buffer row_infos, make(sizes.row_infos, kUpload, "row infos"));
  PREFLIGHT_TRY(vk::Buffer page_tables, make(sizes.page_tables, kUpload, "page tables"));
  PREFLIGHT_TRY(vk::Buffer sliding_rope, make(sizes.sliding_rope, kUpload, "sliding rope"));
  PREFLIGHT_TRY(vk::Buffer full_rope, make(sizes.full_rope, kUpload, "full rope"));
  PREFLIGHT_TRY(vk::Buffer soft, make(sizes.soft, kUpload, "soft tokens"));
  PREFLIGHT_TRY(vk::Buffer head_rows, make(sizes.head_rows, kUpload, "head rows"));
  PREFLIGHT_TRY(vk::Buffer masks, make(sizes.masks, kUpload, "masks"));
  PREFLIGHT_TRY(vk::Buffer sample_rows, make(sizes.sample_rows, kUpload, "sampling"));

  std::vector<LayerPages> pages;
  pages.reserve(config.n_layers);
  for (std::uint32_t ix = 0; ix < config.n_layers; ix++) {
    const bool is_full = config.layer_kinds[ix] == model::LayerKind::kFull;
    const AttentionLayout& layout = is_full ? plan.full : plan.sliding;
    const std::uint32_t n_pages = is_full ? plan.full_pages : plan.sliding_pages;
    PREFLIGHT_TRY(vk::Buffer keys,
                  make(plane_bytes(layout, layout.key_dim, n_pages, kv16), kDevice, "key pages"));
    PREFLIGHT_TRY(vk::Buffer values, make(plane_bytes(layout, layout.head_dim, n_pages, kv16),
                                          kDevice, "value pages"));
    pages.push_back({std::move(keys), std::move(values)});
  }

  Arena arena{.residual = std::move(residual),
              .normed = std::move(normed),
              .qkv = std::move(qkv),
              .q = std::move(q),
              .attended = std::move(attended),
              .ranges = std::move(ranges),
              .branch = std::move(branch),
              .gated = std::move(gated),
              .codes = std::move(codes),
              .code_scales = std::move(code_scales),
              .logits = std::move(logits),
              .partial = std::move(partial),
              .best = std::move(best),
              .softmax = std::move(softmax),
              .sample_states = std::move(sample_states),
              .sample_bins = std::move(sample_bins),
              .sample_lists = std::move(sample_lists),
              .row_infos = std::move(row_infos),
              .page_tables = std::move(page_tables),
              .sliding_rope = std::move(sliding_rope),
              .full_rope = std::move(full_rope),
              .soft = std::move(soft),
              .head_rows = std::move(head_rows),
              .masks = std::move(masks),
              .masks_held = {},
              .sample_rows = std::move(sample_rows),
              .pages = std::move(pages)};
  return arena;
}

Result<void> Arena::clear(vk::Device& device, vk::Submitter& submitter) {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device));
  list.begin();
  for (const vk::Buffer* buffer : {&normed, &attended, &gated}) list.fill(vk::whole(*buffer), 0);
  PREFLIGHT_TRY_VOID(list.end());
  const vk::CommandList* const lists[] = {&list};
  PREFLIGHT_TRY([[maybe_unused]] const double ms, submitter.run(lists));
  return {};
}

}  // namespace preflight::forward
