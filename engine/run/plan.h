#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `plan`: the memory that a model would take on a device, without loading it.
void add_plan(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
