#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "engine/forward/kernels.h"
#include "shaders/params/sample.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/error.h"

namespace preflight::forward {

/// What sampling reads and writes.
struct SampleBuffers {
  const vk::Buffer* logits = nullptr;   ///< f32 [rows, vocab]
  const vk::Buffer* masks = nullptr;    ///< u32 [rows, mask words]
  const vk::Buffer* partial = nullptr;  ///< ArgmaxEntry [rows, kArgmaxSlices], of argmax.comp
  const vk::Buffer* best = nullptr;     ///< ArgmaxEntry [rows]
  const vk::Buffer* rows = nullptr;     ///< SampleRow [rows]
  const vk::Buffer* states = nullptr;   ///< SampleState [rows, kSamplePasses + 1]
  const vk::Buffer* bins = nullptr;     ///< u32 [rows, kSamplePasses, kSampleBins, 2]
  const vk::Buffer* lists = nullptr;    ///< sample_lists_bytes(), see params/sample.h
};

/// Tokens that the list of a row has room for: the whole vocabulary where it is small.
[[nodiscard]] constexpr std::uint32_t sample_list_tokens(std::uint32_t vocab_size) {
  return std::min(vocab_size, params::kSampleListTokens);
}

/// Bytes of a row of SampleBuffers::states.
inline constexpr std::uint64_t kSampleStateBytes =
    std::uint64_t{params::kSamplePasses + 1} * sizeof(params::SampleState);
/// Bytes of a row of SampleBuffers::bins.
inline constexpr std::uint64_t kSampleBinBytes =
    std::uint64_t{params::kSamplePasses} * params::kSampleBins * 2 * sizeof(std::uint32_t);
/// Bytes of SampleBuffers::lists.
[[nodiscard]] constexpr std::uint64_t sample_lists_bytes(std::uint32_t n_rows,
                                                         std::uint32_t vocab_size) {
  const std::uint64_t row_words = params::kSampleListFirst + sample_list_tokens(vocab_size);
  return (params::kSampleGridWords + n_rows * row_words) * sizeof(std::uint32_t);
}

/// Draws a token for each row whose SampleRow has a temperature, behind both passes of argmax
/// (docs/model.md, sampling).
class Sampler {
 public:
  Sampler() = default;  ///< records nothing of use; create() makes one that does
  [[nodiscard]] static Result<Sampler> create(Kernels& kernels, std::uint32_t vocab_size,
                                              const SampleBuffers& buffers);
  /// What must be done before record(), and needs a barrier between.
  void record_clear(vk::CommandList& list, std::uint32_t n_rows) const;
  /// Records all passes; SampleBuffers::best then holds the tokens.
  void record(vk::CommandList& list, std::uint32_t n_rows) const;

 private:
  const vk::Buffer* bins_ = nullptr;
  const vk::Buffer* lists_ = nullptr;
  std::array<RowOp, params::kSamplePasses> select_;
  RowOp bound_, collect_, grid_, draw_slices_, draw_merge_;
};

}  // namespace preflight::forward
