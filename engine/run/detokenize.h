#pragma once

#include <CLI/CLI.hpp>

#include "vk/error.h"

namespace preflight::run {

/// `detokenize --model PATH`: a JSON array of ids on standard input, the text on standard output,
/// special tokens spelled out. Bytes that form no character become U+FFFD.
void add_detokenize(CLI::App& app, Result<void>& outcome);

}  // namespace preflight::run
