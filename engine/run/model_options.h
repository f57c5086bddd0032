#pragma once

#include <filesystem>

#include <CLI/CLI.hpp>

#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::run {

/// The options that name a model, the same for every command.
struct ModelOptions {
  std::filesystem::path model;
  std::filesystem::path mmproj;
};

/// Adds `--model` (required) and `--mmproj`. `options` must outlive the parsing.
void add_model_options(CLI::App& command, ModelOptions& options);

/// The tokenizer of a model, without touching a device.
Result<text::Tokenizer> load_tokenizer(const ModelOptions& options);

}  // namespace preflight::run
