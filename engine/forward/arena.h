#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/forward/kernels.h"
#include "engine/forward/softmax_op.h"
#include "engine/forward/step.h"
#include "engine/model/model_config.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"

namespace preflight::forward {

/// How attention of one layer kind lies in memory (shaders/params/attention.h).
struct AttentionLayout {
  std::uint32_t head_dim = 0;
  std::uint32_t n_kv_heads = 0;
  std::uint32_t n_rotated = 0;               ///< pairs that rotate, counted from the first
  bool folded = false;                       ///< keys that do not rotate are values times k_norm
  std::uint32_t key_dim = 0;                 ///< values of the key plane per position and KV head
  std::uint32_t q_values = 0;                ///< of one query head, folded part included
  std::uint32_t qkv_values = 0;              ///< of a row of raw projections
  std::uint32_t k_offset = 0, v_offset = 0;  ///< in that row

  [[nodiscard]] static AttentionLayout of(const model::ModelConfig& config, model::LayerKind kind);
};

/// Sizes that the loaded model fixes for every buffer of the forward pass.
struct ArenaPlan {
  std::uint32_t max_rows = 0;       ///< of a step
  std::uint32_t max_head_rows = 0;  ///< rows that pass the head together
  std::uint32_t max_sequences = 0;
  std::uint32_t context_tokens = 0;  ///< longest sequence
  std::uint32_t sliding_pages = 0, full_pages = 0;
  bool attention_tiles = false;  ///< attention keeps partial results of key ranges
  bool quantised = false;        ///< products read their input in 8-bit blocks
  AttentionLayout sliding, full;

  [[nodiscard]] std::uint64_t arena_bytes(const model::ModelConfig& config, bool act16) const;
  [[nodiscard]] std::uint64_t page_bytes(const model::ModelConfig& config, bool kv16) const;
};

/// K and V planes of one layer's pages.
struct LayerPages {
  vk::Buffer keys, values;
};

/// Everything a step reads and writes beside the weights; made once, cleared once, reused by every
/// step.
struct Arena {
  vk::Buffer residual;     ///< f32 [rows, padded(model_dim)]
  vk::Buffer normed;       ///< product input [rows, padded(model_dim)]
  vk::Buffer qkv;          ///< f32 [rows, qkv_values]
  vk::Buffer q;            ///< f32 [rows, n_heads, q_values]
  vk::Buffer attended;     ///< product input [rows, padded(n_heads * head_dim)]
  vk::Buffer ranges;       ///< f32, attention's partial results (attention_merge.comp)
  vk::Buffer branch;       ///< f32 [rows, padded(model_dim)]
  vk::Buffer gated;        ///< product input [rows, padded(ffn_dim)]
  vk::Buffer codes;        ///< of the product input that comes next: bytes [rows, its row length]
  vk::Buffer code_scales;  ///< f32 [rows, blocks, 2]
  vk::Buffer logits;       ///< f32 [head rows, vocab]
  vk::Buffer partial;      ///< ArgmaxEntry [head rows, kArgmaxSlices]
  vk::Buffer best;         ///< ArgmaxEntry [head rows], for the host
  SoftmaxBuffers softmax;  ///< of up to as many rows as the head takes
  vk::Buffer sample_states, sample_bins, sample_lists;  ///< by head row (engine/forward/sampler.h)
  // Written by the host before a step.
  vk::Buffer row_infos;                ///< RowInfo [rows]
  vk::Buffer page_tables;              ///< u32
  vk::Buffer sliding_rope, full_rope;  ///< f32 [rows, n_rotated, 2]
  vk::Buffer soft;                     ///< f32 [rows, model_dim]
  vk::Buffer head_rows;                ///< u32 [head rows]
  vk::Buffer masks;                    ///< u32 [head rows, mask words]
  std::vector<TokenMask> masks_held;   ///< what `masks` holds by head row, of those written so far
  vk::Buffer sample_rows;              ///< SampleRow [head rows]
  std::vector<LayerPages> pages;       ///< by layer

  [[nodiscard]] static Result<Arena> create(vk::Device& device, const model::ModelConfig& config,
                                            const ArenaPlan& plan, bool act16, bool kv16);
  /// Zeroes the product inputs: their rows are padded to whole weight blocks, and what stands in
  /// the padding meets zero weights, so it must be finite.
  [[nodiscard]] Result<void> clear(vk::Device& device, vk::Submitter& submitter);
};

/// The values of a buffer that the host sees.
template <class T>
[[nodiscard]] std::span<T> host_values(const vk::Buffer& buffer) {
  const auto bytes = buffer.host_view();
  return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

}  // namespace preflight::forward
