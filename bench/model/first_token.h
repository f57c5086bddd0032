#pragma once

#include <filesystem>
#include <vector>

#include "bench/model/options.h"
#include "bench/model/results.h"
#include "vk/error.h"

namespace preflight::bench {

/// What the child process does: loads, reads one token, says one.
[[nodiscard]] Result<void> say_first_token(const ModelOptions& options,
                                           const std::filesystem::path& cache_dir);

/// Seconds from the start of a process to its first token: with no pipeline cache, and with the one
/// that the first process left. Each is a process of its own; what the driver caches by itself is
/// switched off where the driver lets us.
[[nodiscard]] Result<std::vector<Figure>> measure_start(const ModelOptions& options);

}  // namespace preflight::bench
