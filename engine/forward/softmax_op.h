#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/forward/kernels.h"
#include "engine/forward/sliced_op.h"
#include "shaders/params/softmax.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::forward {

/// What the softmax of a few tokens of a row is made of.
struct RowSoftmax {
  params::SoftmaxSum sum;     ///< of the whole row
  std::vector<float> logits;  ///< of the tokens asked for, in their order
};

/// What softmax.comp reads and writes beside the logits.
struct SoftmaxBuffers {
  vk::Buffer queries;  ///< SoftmaxQuery [queries], written by the host
  vk::Buffer tokens;   ///< u32 [queries, kSoftmaxTokens], likewise
  vk::Buffer partial;  ///< SoftmaxSum [queries, kSoftmaxSlices]
  vk::Buffer sums;     ///< SoftmaxSum [queries], for the host
  vk::Buffer picked;   ///< f32 [queries, kSoftmaxTokens], for the host

  [[nodiscard]] static std::uint64_t bytes(std::uint32_t max_queries);
  [[nodiscard]] static Result<SoftmaxBuffers> create(vk::Device& device, std::uint32_t max_queries);

  /// Asks for a row of the logits and for some of its tokens, the first kSoftmaxTokens at most. Not
  /// while a submission reads it.
  void ask(std::uint32_t query, std::uint32_t row, std::span<const std::uint32_t> of_tokens);
  /// What the last submission answered; n_tokens as asked for, kSoftmaxTokens at most.
  [[nodiscard]] RowSoftmax answer(std::uint32_t query, std::size_t n_tokens) const;
};

/// The largest logit and the sum of exponentials of rows, and the logits of a few tokens of each.
[[nodiscard]] Result<SlicedOp> make_softmax(Kernels& kernels, const vk::Buffer& logits,
                                            const SoftmaxBuffers& buffers,
                                            std::uint32_t vocab_size);

}  // namespace preflight::forward
