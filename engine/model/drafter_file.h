#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "engine/model/model_config.h"
#include "engine/model/tensor.h"
#include "vk/error.h"

namespace preflight::model {

/// What the forward pass of a drafter needs to know (docs/model.md#drafter).
struct DrafterConfig {
  /// Of its own layers. They have no keys and values: head sizes and KV heads are the target's.
  ModelConfig layers;
  std::uint32_t target_dim = 0;  ///< width of the model that it drafts for
};

/// An opened drafter: a GGUF file or a Hugging Face directory, mapped read-only like a ModelFile
/// and checked as thoroughly. Move-only.
class DrafterFile {
 public:
  /// Errors as ModelFile::open.
  [[nodiscard]] static Result<DrafterFile> open(const std::filesystem::path& path);
  DrafterFile(DrafterFile&&) noexcept;
  DrafterFile& operator=(DrafterFile&&) noexcept;
  ~DrafterFile();

  [[nodiscard]] const DrafterConfig& config() const;
  /// As the caller named it; opens every complaint.
  [[nodiscard]] const std::string& name() const;
  /// By canonical name (docs/model.md#drafter). Null when absent.
  [[nodiscard]] const Tensor* find(std::string_view canonical_name) const;

 private:
  struct State;
  explicit DrafterFile(std::unique_ptr<const State> state);
  std::unique_ptr<const State> state_;
};

/// Refuses a drafter that was made for another model: it reads the target's keys, values and
/// embeddings, so everything that these depend on must be equal. `name` opens the complaint.
[[nodiscard]] Result<void> check_drafter_fits(const DrafterConfig& drafter,
                                              const ModelConfig& target, std::string_view name);

}  // namespace preflight::model
