#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::model {

/// Which sizes a made model has (docs/model.md#made-models).
enum class MadeShape : std::uint8_t {
  kDemo,  ///< small enough to prefill 10,000 tokens on a processor in seconds
  k12b,   ///< every size of the published 12B
};

struct MakeModelOptions {
  MadeShape shape = MadeShape::kDemo;
  std::optional<std::uint32_t> n_layers = std::nullopt;  ///< 2 to 48; default: the shape's own
  TensorType type = TensorType::kQ4_0;                   ///< of all matrices
  std::optional<TensorType> head =
      std::nullopt;  ///< of the embedding table; default: Q6_K beside packed types
  std::optional<std::uint32_t> vocab_size = std::nullopt;  ///< default: the shape's own
  std::uint64_t seed = 1;
  bool mmproj = false;   ///< write the matching image and sound part instead of the language model
  bool drafter = false;  ///< write the matching drafter instead; its table has the type of all
  /// Matrices hold zeros that take no room on disk: a file to plan by, not to run.
  bool sparse = false;
  unsigned n_threads = 0;  ///< 0: one per processor
};

/// The shape with this name ("demo", "12b").
[[nodiscard]] std::optional<MadeShape> shape_from_name(std::string_view name);

/// Writes a GGUF of random weights: what it says is noise, what it costs is real. The same options
/// give the same bytes. Streamed: memory does not grow with the size of the file. Returns the bytes
/// written. Errors: kInvalidInput for options out of range, kIo.
[[nodiscard]] Result<std::uint64_t> make_model(const MakeModelOptions& options,
                                               const std::filesystem::path& path);

}  // namespace preflight::model
