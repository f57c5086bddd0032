#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `preflight-run preprocess FILE --out F.safetensors`: what the embedders would be given for a
/// picture, a film or a sound. What the file is decides, not its name:
///   picture  patches F32 [n, 6912], positions I32 [n, 2]
///   film     the same of all frames one after another, frame_rows I32 [frames], times F32 [frames]
///   sound    frames F32 [n, 640]
/// Prints what was left out.
void add_preprocess(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
