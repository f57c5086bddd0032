#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `make-model --shape demo|12b [--layers N] [--type T] [--head TYPE] [--vocab V] [--seed S]
/// [--mmproj] OUT.gguf`: writes a model of random weights, or with --mmproj the matching image and
/// sound part, and prints what was written (docs/model.md#made-models).
void add_make_model(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
