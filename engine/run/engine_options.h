#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include <CLI/CLI.hpp>

#include "engine/engine.h"
#include "engine/run/model_options.h"
#include "vk/error.h"

namespace preflight::run {

/// The options that name a model and where it runs, the same for every command that computes.
struct EngineOptions {
  ModelOptions model;
  std::string device;
  std::string tier;  ///< "base", "f16", "dot", "coopmat"; empty: the device's own
  std::string kv = "f16";
  std::uint32_t context_tokens = 0;  ///< 0: what the request needs
  std::filesystem::path drafter;     ///< empty: none
  std::optional<std::uint32_t> draft_tokens;
};

/// Adds `--model`, `--mmproj`, `--device`, `--tier`, `--kv` and `--context`. `options` must outlive
/// the parsing.
void add_engine_options(CLI::App& command, EngineOptions& options);

/// For one sequence.
engine::EngineOptions to_engine_options(const EngineOptions& options);

/// Loads the engine for `n_tokens` positions at least.
Result<std::unique_ptr<engine::Engine>> load_engine(const EngineOptions& options,
                                                    std::uint64_t n_tokens);

/// Where pipeline caches of this user lie: $XDG_CACHE_HOME/preflight, else ~/.cache/preflight;
/// empty without a home.
std::filesystem::path user_cache_dir();

}  // namespace preflight::run
