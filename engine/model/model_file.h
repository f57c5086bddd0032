#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "engine/model/model_config.h"
#include "engine/model/tensor.h"
#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::model {

/// An opened model: a GGUF file (split ones too) or a Hugging Face directory, and optionally the
/// image and sound part of a GGUF model in a second file. The files are mapped read-only and stay
/// mapped as long as the object lives; tensors point into them. Move-only. Reading from several
/// threads is safe.
///
/// open() has checked everything the forward pass relies on: the architecture, every size of the
/// configuration, and presence, type and shape of every tensor it needs. A file whose content
/// changes after open() gives wrong numbers; one that is shortened ends the process (SIGBUS), as
/// for any map.
class ModelFile {
 public:
  /// `model`: a .gguf file, the first part of a split one, or a directory with config.json.
  /// `mmproj`: a .gguf file, or empty. A directory holds its own image and sound part.
  /// Errors: kNotFound, kIo; kInvalidInput for a file that contradicts itself, kUnsupported for one
  /// that is well formed but outside what this build reads. Each names file, tensor or key, what
  /// was found and what was expected.
  [[nodiscard]] static Result<ModelFile> open(const std::filesystem::path& model,
                                              const std::filesystem::path& mmproj);
  ModelFile(ModelFile&&) noexcept;
  ModelFile& operator=(ModelFile&&) noexcept;
  ~ModelFile();

  [[nodiscard]] const ModelConfig& config() const;
  [[nodiscard]] const SpecialTokens& special_tokens() const;
  /// Vocabulary, kinds and merges as the file has them.
  [[nodiscard]] Result<text::TokenizerData> tokenizer_data() const;

  /// By canonical name, whatever the source: "token_embd.weight", "output_norm.weight",
  /// "output.weight" (absent: the head is the embedding table), "blk.3.attn_q.weight",
  /// "blk.3.layer_output_scale.weight" (absent: 1), "v.patch_embd.{weight,bias}",
  /// "v.patch_norm.{1,2,3}.{weight,bias}", "v.position_embd.weight" (cols = vision_embed_dim, rows
  /// = 2 * vision_positions), "mm.input_projection.weight", "mm.a.input_projection.weight". Null
  /// when absent.
  [[nodiscard]] const Tensor* find(std::string_view canonical_name) const;

  /// The 6912 inputs of v.patch_embd and v.patch_norm.1 are ordered channel, row, column (GGUF)
  /// instead of row, column, channel (docs/model.md#vision-embedder).
  [[nodiscard]] bool vision_is_channel_major() const;
  /// Rows of v.position_embd are [2][positions] (GGUF) instead of [positions][2].
  [[nodiscard]] bool positions_are_axis_major() const;

  /// Cheap identity of the model for caches: sizes and headers of all files, as hex. No proof of
  /// integrity: weights are not read.
  [[nodiscard]] std::string digest() const;
  /// Sum of the sizes of all weight files.
  [[nodiscard]] std::uint64_t file_bytes() const;

 private:
  struct State;
  explicit ModelFile(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

}  // namespace preflight::model
