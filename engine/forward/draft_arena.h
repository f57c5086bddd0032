#pragma once

#include <cstdint>

#include "engine/forward/arena.h"
#include "engine/model/drafter_file.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"

namespace preflight::forward {

/// Draft steps that follow each other without the host.
inline constexpr std::uint32_t kMaxDraftSteps = 8;

/// What a draft step reads and writes of its own. Row infos, tables, masks, logits and the best
/// tokens are the target's Arena's, which are free between the target's steps.
struct DraftArena {
  vk::Buffer embedded;  ///< f32 [rows, padded(target_dim)]
  vk::Buffer input;     ///< product input [rows, padded(2 * target_dim)]
  vk::Buffer hidden;    ///< f32 [rows, padded(target_dim)], the last draft step's
  vk::Buffer residual;  ///< f32 [rows, padded(model_dim)]
  vk::Buffer normed;    ///< product input [rows, padded(model_dim)]
  vk::Buffer raw_q;     ///< f32 [rows, n_heads * head_dim]
  vk::Buffer q;         ///< f32 [rows, n_heads, q_values]
  vk::Buffer attended;  ///< product input [rows, padded(n_heads * head_dim)]
  vk::Buffer branch;    ///< f32 [rows, padded(model_dim)]
  vk::Buffer gated;     ///< product input [rows, padded(ffn_dim)]
  vk::Buffer tokens;    ///< u32 [kMaxDraftSteps, rows], for the host

  [[nodiscard]] static std::uint64_t bytes(const model::DrafterConfig& config,
                                           const ArenaPlan& plan, bool act16);
  [[nodiscard]] static Result<DraftArena> create(vk::Device& device,
                                                 const model::DrafterConfig& config,
                                                 const ArenaPlan& plan, bool act16);
  /// As Arena::clear.
  [[nodiscard]] Result<void> clear(vk::Device& device, vk::Submitter& submitter);
};

}  // namespace preflight::forward
