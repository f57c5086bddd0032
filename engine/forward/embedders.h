#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/forward/kernels.h"
#include "engine/forward/model_weights.h"
#include "engine/model/model_config.h"
#include "vk/buffer.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::forward {

/// Pixels and samples to soft tokens (docs/model.md, vision embedder, audio embedder). Rows pass in
/// batches of kBatchRows, which bounds memory whatever the picture's size.
class Embedders {
 public:
  static constexpr std::uint32_t kBatchRows = 256;

  [[nodiscard]] static std::uint64_t scratch_bytes(const model::ModelConfig& config, bool act16);
  /// Weights outlive it. Without a vision or audio part the respective call is refused.
  [[nodiscard]] static Result<std::unique_ptr<Embedders>> create(
      vk::Device& device, vk::Submitter& submitter, vk::Uploader& uploader, Kernels& kernels,
      const model::ModelConfig& config, const ModelWeights& weights);

  /// patches f32 [n, 6912] in raster order, `columns` to a row of the picture -> f32 [n,
  /// model_dim].
  [[nodiscard]] Result<std::vector<float>> image(std::span<const float> patches,
                                                 std::uint32_t columns);
  /// samples, padded by the callee to whole frames -> f32 [frames, model_dim].
  [[nodiscard]] Result<std::vector<float>> audio(std::span<const float> samples);

 private:
  /// Buffers and dispatches of one of the two; `input` is what the host writes.
  struct Path {
    vk::Buffer input;   ///< f32 [batch, input values]
    vk::Buffer normed;  ///< product input [batch, padded input values]
    vk::Buffer output;  ///< f32 [batch, model_dim]
    RowOp norm;
    ProductOp projection;
  };
  struct VisionMiddle {
    vk::Buffer features;  ///< f32 [batch, padded(vision_dim)]
    vk::Buffer normed;    ///< product input, of the projection
    ProductOp dense;
    RowOp position;  ///< its columns and first_patch are set per call
    bool channel_major;
  };

  Embedders(vk::Device& device, vk::Submitter& submitter, vk::Uploader& uploader,
            const model::ModelConfig& config)
      : device_(device), submitter_(submitter), uploader_(uploader), config_(config) {}

  Result<void> make_vision(Kernels& kernels, const VisionWeights& weights);
  Result<void> make_audio(Kernels& kernels, const WeightMatrix& projection);
  Result<void> run_batch(Path& path, std::uint32_t n_rows, std::uint32_t columns,
                         std::uint32_t first_patch, std::span<float> out);

  vk::Device& device_;
  vk::Submitter& submitter_;
  vk::Uploader& uploader_;
  const model::ModelConfig& config_;
  std::optional<Path> vision_, audio_;
  std::optional<VisionMiddle> middle_;
};

}  // namespace preflight::forward
