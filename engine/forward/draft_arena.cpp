#include "engine/forward/draft_arena.h"

#include <algorithm>

namespace preflight::forward {
namespace {

/// Sizes of the buffers in bytes, in one place for the plan and for the making.
struct DraftArenaSizes {
  std::uint64_t embedded, input, hidden, residual, normed, raw_q, q, attended, branch, gated,
      tokens;

  DraftArenaSizes(const model::DrafterConfig& config, const ArenaPlan& plan, bool act16) {
    const model::ModelConfig& c = config.layers;
    const std::uint64_t rows = plan.max_head_rows;
    const std::uint64_t act = act16 ? 2 : 4;
    const std::uint64_t head_dim = std::max(plan.sliding.head_dim, plan.full.head_dim);
    embedded = rows * padded(config.target_dim) * 4;
    input = rows * padded(2 * config.target_dim) * act;
    hidden = embedded;
    residual = rows * padded(c.model_dim) * 4;
    normed = rows * padded(c.model_dim) * act;
    raw_q = rows * c.n_heads * head_dim * 4;
    q = rows * c.n_heads * std::max(plan.sliding.q_values, plan.full.q_values) * 4;
    attended =
        rows * act *
        std::max(padded(c.n_heads * plan.sliding.head_dim), padded(c.n_heads * plan.full.head_dim));
    branch = residual;
    gated = rows * padded(c.ffn_dim) * act;
    tokens = kMaxDraftSteps * rows * 4;
  }
  [[nodiscard]] std::uint64_t total() const {
    return embedded + input + hidden + residual + normed + raw_q + q + attended + branch + gated +
           tokens;
  }
};

}  // namespace

std::uint64_t DraftArena::bytes(const model::DrafterConfig& config, const ArenaPlan& plan,
                                bool act16) {
  return DraftArenaSizes(config, plan, act16).total();
}

Result<DraftArena> DraftArena::create(vk::Device& device, const model::DrafterConfig& config,
                                      const ArenaPlan& plan, bool act16) {
  const DraftArenaSizes sizes(config, plan, act16);
  const auto make = [&](std::uint64_t bytes, const char* label) {
    return vk::Buffer::create(device, bytes, vk::Residency::kDevice, label);
  };
  PREFLIGHT_TRY(vk::Buffer embedded, make(sizes.embedded, "draft embeddings"));
  PREFLIGHT_TRY(vk::Buffer input, make(sizes.input, "draft input"));
  PREFLIGHT_TRY(vk::Buffer hidden, make(sizes.hidden, "draft hidden rows"));
  PREFLIGHT_TRY(vk::Buffer residual, make(sizes.residual, "draft residual"));
  PREFLIGHT_TRY(vk::Buffer normed, make(sizes.normed, "draft normed"));
  PREFLIGHT_TRY(vk::Buffer raw_q, make(sizes.raw_q, "draft raw q"));
  PREFLIGHT_TRY(vk::Buffer q, make(sizes.q, "draft q"));
  PREFLIGHT_TRY(vk::Buffer attended, make(sizes.attended, "draft attended"));
  PREFLIGHT_TRY(vk::Buffer branch, make(sizes.branch, "draft branch"));
  PREFLIGHT_TRY(vk::Buffer gated, make(sizes.gated, "draft gated"));
  PREFLIGHT_TRY(vk::Buffer tokens, vk::Buffer::create(device, sizes.tokens,
                                                      vk::Residency::kReadback, "drafted tokens"));
  return DraftArena{.embedded = std::move(embedded),
                    .input = std::move(input),
                    .hidden = std::move(hidden),
                    .residual = std::move(residual),
                    .normed = std::move(normed),
                    .raw_q = std::move(raw_q),
                    .q = std::move(q),
                    .attended = std::move(attended),
                    .branch = std::move(branch),
                    .gated = std::move(gated),
                    .tokens = std::move(tokens)};
}

Result<void> DraftArena::clear(vk::Device& device, vk::Submitter& submitter) {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(device));
  list.begin();
  for (const vk::Buffer* buffer : {&input, &normed, &attended, &gated})
    list.fill(vk::whole(*buffer), 0);
  PREFLIGHT_TRY_VOID(list.end());
  const vk::CommandList* const lists[] = {&list};
  PREFLIGHT_TRY([[maybe_unused]] const double ms, submitter.run(lists));
  return {};
}

}  // namespace preflight::forward
