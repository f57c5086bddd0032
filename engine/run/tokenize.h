#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `tokenize --model PATH [--inert]`: text on standard input, a JSON array of ids on standard
/// output. No begin token is added. Special tokens in the text are parsed unless `--inert`.
void add_tokenize(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
