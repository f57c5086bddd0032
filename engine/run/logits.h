#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `logits`: the capped logits of a request, at the last, all or given positions.
void add_logits(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
