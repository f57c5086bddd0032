#pragma once

#include <filesystem>
#include <vector>

#include "engine/model/safetensors_file.h"
#include "vk/error.h"

namespace preflight::model {

/// The weight files of a Hugging Face directory: model.safetensors, or all that
/// model.safetensors.index.json names, each checked to hold what the index says.
[[nodiscard]] Result<std::vector<SafetensorsFile>> open_checkpoint_files(
    const std::filesystem::path& directory);

}  // namespace preflight::model
