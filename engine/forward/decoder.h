#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/forward/arena.h"
#include "engine/forward/argmax_op.h"
#include "engine/forward/dot_products.h"
#include "engine/forward/embed_op.h"
#include "engine/forward/kernels.h"
#include "engine/forward/layer_attention.h"
#include "engine/forward/layer_tail.h"
#include "engine/forward/model_weights.h"
#include "engine/forward/sampler.h"
#include "engine/forward/segments.h"
#include "engine/forward/softmax_op.h"
#include "engine/forward/step.h"
#include "engine/kv/sequence_pages.h"
#include "engine/model/model_config.h"
#include "shaders/params/argmax.h"
#include "shaders/params/sample.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::forward {

/// One decoder layer as dispatches, bound at load (docs/model.md, forward pass).
struct LayerOps {
  QuantiseOp quantise;                 ///< for the projections
  std::vector<ProductOp> projections;  ///< Q, K and V: one, where their types are one
  LayerAttention attention;
  LayerTail tail;
};

/// A row whose softmax is wanted.
struct SoftmaxRow {
  std::uint32_t ix = 0;                     ///< into HeadRows::rows
  std::span<const std::uint32_t> tokens{};  ///< those whose logits are wanted
};

/// Rows of a step whose logits are wanted.
struct HeadRows {
  std::vector<std::uint32_t> rows;          ///< of the step
  std::vector<TokenMask> masks;             ///< by row
  std::vector<params::SampleRow> sampling;  ///< by row; empty: all are greedy
  std::vector<SoftmaxRow> softmax;          ///< what read_softmax() may then be asked
};

/// The language model on the device: runs steps, and the head for the rows whose logits are
/// wanted.
class Decoder {
 public:
  /// Weights and arena outlive it.
  [[nodiscard]] static Result<std::unique_ptr<Decoder>> create(vk::Device& device,
                                                               vk::Submitter& submitter,
                                                               Kernels& kernels,
                                                               const model::ModelConfig& config,
                                                               const ModelWeights& weights,
                                                               Arena& arena, const ArenaPlan& plan);

  /// Runs the rows through all layers: their K and V are stored, and their final hidden rows stay
  /// in the arena until the next run. 1 to plan.max_rows rows. Then the head, as below, without
  /// the host in between where a submission may be that long; empty: none.
  [[nodiscard]] Result<std::vector<params::ArgmaxEntry>> run(
      const Step& step, const HeadRows& head, const std::function<bool()>& cancelled);

  /// The head for rows of the last run: capped logits, and for each row the best token that its
  /// mask allows (mask_words() words each), or the one drawn. 1 to plan.max_head_rows rows.
  [[nodiscard]] Result<std::vector<params::ArgmaxEntry>> head(const HeadRows& head);
  /// What the softmax of some tokens of row `ix` of the last head() is made of; `tokens` as in its
  /// HeadRows::softmax.
  [[nodiscard]] Result<RowSoftmax> read_softmax(vk::Uploader& uploader, std::uint32_t ix,
                                                std::span<const std::uint32_t> tokens) const;
  /// Capped logits of row `ix` of the last head(); out.size() == vocab_size.
  [[nodiscard]] Result<void> read_logits(vk::Uploader& uploader, std::uint32_t ix,
                                         std::span<float> out) const;

  /// Final hidden row `row` of the last run, as the head reads it; out.size() == model_dim.
  [[nodiscard]] Result<void> read_hidden(vk::Uploader& uploader, std::uint32_t row,
                                         std::span<float> out) const;

  /// Copies pages within the pools, in every layer of the kind.
  [[nodiscard]] Result<void> copy_pages(std::span<const kv::PageCopy> copies);

  [[nodiscard]] std::uint32_t mask_words() const { return (config_.vocab_size + 31) / 32; }
  /// Rows that a prefill chunk should have so that no submission takes longer than it may.
  [[nodiscard]] std::uint32_t chunk_rows() const;

 private:
  Decoder(vk::Device& device, vk::Submitter& submitter, const Kernels& kernels,
          const model::ModelConfig& config, Arena& arena, const ArenaPlan& plan)
      : device_(device),
        submitter_(submitter),
        config_(config),
        arena_(arena),
        plan_(plan),
        tuning_(kernels.options().tuning),
        kv16_(kernels.options().kv16),
        act16_(kernels.options().act16),
        body_(tuning_.submission_ms),
        head_(tuning_.submission_ms),
        sampled_head_(tuning_.submission_ms),
        softmaxes_(tuning_.submission_ms) {}

  Result<LayerOps> make_layer(Kernels& kernels, const ModelWeights& weights, std::uint32_t ix);
  Result<std::vector<vk::CommandList>> record_body(std::uint32_t n_rows, Phase phase) const;
  Result<std::vector<vk::CommandList>> record_head(std::uint32_t n_rows, bool sampled) const;
  Result<std::vector<vk::CommandList>> record_softmax(std::uint32_t n_rows) const;
  void write_head(const HeadRows& head);
  /// What follows the head: the softmax of the rows that ask for it.
  Result<std::vector<SegmentCache::Recorded*>> find_softmax(const HeadRows& head);
  [[nodiscard]] std::vector<params::ArgmaxEntry> best_of(const HeadRows& head) const;
  void record_layer(vk::CommandList& list, const LayerOps& layer, std::uint32_t n_rows,
                    Phase phase) const;

  vk::Device& device_;
  vk::Submitter& submitter_;
  const model::ModelConfig& config_;
  Arena& arena_;
  ArenaPlan plan_;
  Tuning tuning_;
  bool kv16_;
  bool act16_;

  EmbedOp embed_;
  RowOp first_norm_;
  std::vector<LayerOps> layers_;
  ProductOp head_product_;
  SlicedOp argmax_;
  Sampler sampler_;
  SlicedOp softmax_;
  std::vector<std::uint32_t> softmax_rows_;  ///< head rows that the last head() was asked about

  SegmentCache body_, head_, sampled_head_, softmaxes_;
};

}  // namespace preflight::forward
