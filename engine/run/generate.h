#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `generate`: the greedy continuation of a request, free or bound to a JSON schema.
void add_generate(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
