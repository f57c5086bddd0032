#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "engine/model/gguf_file.h"
#include "engine/model/json_text.h"
#include "engine/model/model_config.h"
#include "engine/model/tensor_table.h"
#include "vk/error.h"

namespace preflight::model {

/// Refuses by its name what is no language model of this architecture. Comes before everything
/// else, so that the complaint is about the model and not about one of its tensors.
[[nodiscard]] Result<void> check_gguf_type(const GgufFile& file);
[[nodiscard]] Result<void> check_mmproj_type(const GgufFile& file);
[[nodiscard]] Result<void> check_checkpoint_type(const JsonView& root);

/// Where the language model's keys stand: `text_config`, or the root itself.
[[nodiscard]] Result<JsonView> find_text_config(const JsonView& root);

/// Refuses settings of other models of the family, which would change every number. Only a drafter
/// has layers without keys and values of their own: `n_shared_kv_layers` of them.
[[nodiscard]] Result<void> refuse_foreign_features(const GgufFile& file,
                                                   std::uint32_t n_shared_kv_layers);
[[nodiscard]] Result<void> refuse_foreign_features(const JsonView& text,
                                                   std::uint32_t n_shared_kv_layers);

/// The configuration in the metadata of a language model or drafter GGUF (docs/model.md#gguf).
/// Looks at tensors for what the metadata leaves out: rope_freqs, and which layers have a V
/// projection.
[[nodiscard]] Result<ModelConfig> read_gguf_config(const GgufFile& file, TensorTable& tensors);

/// Adds the image and sound parts that a mmproj GGUF describes.
[[nodiscard]] Result<void> read_mmproj_config(const GgufFile& file, TensorTable& tensors,
                                              ModelConfig& config);

/// The configuration in a config.json, nested or flat (docs/model.md#configuration). Sizes of full
/// layers that the file leaves out are derived from the tensors.
[[nodiscard]] Result<ModelConfig> read_checkpoint_config(const JsonView& root,
                                                         TensorTable& tensors);

/// Refuses sizes that no forward pass could use; run before anything is allocated from them.
[[nodiscard]] Result<void> check_sizes(const ModelConfig& config, std::string_view where);

/// Requires every tensor of the model in its exact shape and refuses all others.
[[nodiscard]] Result<void> check_tensors(const ModelConfig& config, TensorTable& tensors,
                                         std::string_view where);

/// Radians per position of the head_dim / 2 pairs of which the first n_rotated turn:
/// 1 / theta^(2i / head_dim), each step rounded to f32 as the reference does (docs/model.md#rope).
[[nodiscard]] std::vector<float> rotary_frequencies(double theta, std::uint32_t head_dim,
                                                    std::uint32_t n_rotated);

}  // namespace preflight::model
