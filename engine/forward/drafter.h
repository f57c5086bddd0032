#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/forward/arena.h"
#include "engine/forward/argmax_op.h"
#include "engine/forward/draft_arena.h"
#include "engine/forward/drafter_weights.h"
#include "engine/forward/embed_op.h"
#include "engine/forward/kernels.h"
#include "engine/forward/layer_attention.h"
#include "engine/forward/layer_tail.h"
#include "engine/forward/model_weights.h"
#include "engine/forward/segments.h"
#include "engine/forward/step.h"
#include "engine/model/drafter_file.h"
#include "engine/model/model_config.h"
#include "shaders/params/argmax.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::forward {

/// A query of the drafter is rotated by the position of the token that follows the newest key:
/// that token has been chosen, but is not yet in the cache.
inline constexpr std::uint32_t kDraftRopeOffset = 1;

/// One sequence of a draft step.
struct DraftRow {
  StepSequence pages;            ///< the target's; all positions up to newest_key are stored
  std::uint32_t newest_key = 0;  ///< position
  std::int32_t token = 0;        ///< the one whose successor is drafted
  std::uint32_t hidden_row = 0;  ///< of the step that HiddenRows names
  TokenMask mask;                ///< what may be drafted, as in Decoder::head
};

/// Whose rows DraftRow::hidden_row counts.
enum class HiddenRows {
  kTarget,  ///< final hidden rows of the target's last step
  kDraft,   ///< rows of the last step of the last draft()
};

/// One layer of the drafter as dispatches. Its attention reads the target's pages.
struct DraftLayerOps {
  ProductOp q;
  LayerAttention attention;
  LayerTail tail;
};

/// The drafter on the device (docs/model.md#drafter). It works between two steps of the target and
/// leaves the target's pages and hidden rows as they are.
class Drafter {
 public:
  /// Everything given outlives it; `weights` fit the target (model::check_drafter_fits).
  [[nodiscard]] static Result<std::unique_ptr<Drafter>> create(
      vk::Device& device, vk::Submitter& submitter, Kernels& kernels,
      const model::DrafterConfig& config, const DrafterWeights& weights,
      const model::ModelConfig& target, const ModelWeights& target_weights, Arena& target_arena,
      const ArenaPlan& plan);

  /// The best allowed successor of each row's token, the best one of that, and so on for `n_steps`
  /// steps, all in one submission where time allows; a row's mask holds for all of them. 1 to
  /// plan.max_head_rows rows, 1 to kMaxDraftSteps steps. Returns [n_steps, rows], step by step;
  /// params::kNoToken where a mask allows nothing, and then no more of that row means anything.
  [[nodiscard]] Result<std::vector<std::uint32_t>> draft(std::span<const DraftRow> rows,
                                                         HiddenRows from, std::uint32_t n_steps);
  /// Logits of row `ix` of the last step; out.size() == vocab_size.
  [[nodiscard]] Result<void> read_logits(vk::Uploader& uploader, std::uint32_t ix,
                                         std::span<float> out) const;

 private:
  Drafter(vk::Device& device, vk::Submitter& submitter, const Kernels& kernels,
          const model::DrafterConfig& config, const model::ModelConfig& target, Arena& shared,
          const ArenaPlan& plan, DraftArena own)
      : device_(device),
        submitter_(submitter),
        config_(config),
        target_(target),
        shared_(shared),
        plan_(plan),
        tuning_(kernels.options().tuning),
        own_(std::move(own)) {
    for (std::uint32_t n_steps = 1; n_steps <= kMaxDraftSteps; n_steps++)
      for (std::vector<SegmentCache>* caches : {&after_target_, &after_draft_})
        caches->emplace_back(tuning_.submission_ms);
  }

  Result<void> make_input(Kernels& kernels, const DrafterWeights& weights,
                          const ModelWeights& target_weights);
  Result<void> make_head(Kernels& kernels, const DrafterWeights& weights);
  Result<DraftLayerOps> make_layer(Kernels& kernels, const DrafterWeights& weights,
                                   const ModelWeights& target_weights, std::uint32_t ix);
  Result<std::vector<vk::CommandList>> record(std::uint32_t n_rows, HiddenRows from,
                                              std::uint32_t n_steps) const;
  Result<vk::CommandList> record_step(std::uint32_t n_rows, HiddenRows from,
                                      std::uint32_t step) const;
  void record_layer(vk::CommandList& list, const DraftLayerOps& layer, std::uint32_t n_rows) const;

  vk::Device& device_;
  vk::Submitter& submitter_;
  const model::DrafterConfig& config_;
  const model::ModelConfig& target_;
  Arena& shared_;
  ArenaPlan plan_;
  Tuning tuning_;
  DraftArena own_;

  EmbedOp embed_;  ///< of the target's table
  RowOp input_from_target_, input_from_draft_;
  ProductOp pre_projection_;
  RowOp first_norm_;
  std::vector<DraftLayerOps> layers_;
  ProductOp head_, post_projection_;
  SlicedOp argmax_;

  std::vector<RowOp> next_;  ///< by step

  std::vector<SegmentCache> after_target_, after_draft_;  ///< by number of steps, less one
};

}  // namespace preflight::forward
