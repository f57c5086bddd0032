#pragma once

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
  const vk::Buffer* states = nullptr;   ///< SampleState [rows, kSamplePasses]
  const vk::Buffer* bins = nullptr;     ///< u32 [rows, kSamplePasses, kSampleBins, 2]
};

/// Bytes of one row of SampleBuffers::states and of bins.
inline constexpr std::uint64_t kSampleStateBytes =
    std::uint64_t{params::kSamplePasses} * sizeof(params::SampleState);
inline constexpr std::uint64_t kSampleBinBytes =
    std::uint64_t{params::kSamplePasses} * params::kSampleBins * 2 * sizeof(std::uint32_t);

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
  std::array<RowOp, params::kSamplePasses> select_;
  RowOp draw_slices_, draw_merge_;
};

}  // namespace preflight::forward
