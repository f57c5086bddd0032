#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `devices`: every Vulkan device, which one is taken and why.
void add_devices(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
