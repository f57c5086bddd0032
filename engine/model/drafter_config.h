#pragma once

#include <string_view>

#include "engine/model/drafter_file.h"
#include "engine/model/gguf_file.h"
#include "engine/model/json_text.h"
#include "engine/model/tensor_table.h"
#include "vk/error.h"

namespace preflight::model {

/// Refuses by its name what is no drafter of this architecture. Comes before everything else, so
/// that the complaint is about the file and not about one of its tensors.
[[nodiscard]] Result<void> check_drafter_type(const GgufFile& file);
[[nodiscard]] Result<void> check_drafter_type(const JsonView& root);

[[nodiscard]] Result<DrafterConfig> read_drafter_config(const GgufFile& file, TensorTable& tensors);
[[nodiscard]] Result<DrafterConfig> read_drafter_config(const JsonView& root, TensorTable& tensors);

/// Requires every tensor of the drafter in its exact shape and refuses all others.
[[nodiscard]] Result<void> check_drafter_tensors(const DrafterConfig& config, TensorTable& tensors,
                                                 std::string_view where);

}  // namespace preflight::model
