#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "bench/model/options.h"
#include "bench/model/results.h"
#include "engine/engine.h"
#include "vk/error.h"

namespace preflight::bench {

/// The lines of a text file, one prompt each; empty ones are left out. Errors: kNotFound, kIo,
/// kInvalidInput where there is none.
[[nodiscard]] Result<std::vector<std::string>> read_prompts(const std::filesystem::path& path);

/// Answers to the prompts, each as a user's message, without and with drafts by turns on one
/// engine: tokens/s of both and their ratio, tokens drafted and accepted. kInternal where the two
/// texts of a prompt are not the same.
[[nodiscard]] Result<std::vector<Figure>> measure_drafts(engine::Engine& engine,
                                                         const ModelOptions& options);

}  // namespace preflight::bench
