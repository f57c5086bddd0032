#pragma once

#include <cstdio>
#include <string>
#include <string_view>

#include "vk/error.h"

/// How the commands of `preflight-run` are arranged. A command is one pair of files, <command>.h
/// and <command>.cpp, with one function
///
///   void add_<command>(CLI::App& app, Result<void>& outcome);
///
/// that adds a subcommand to `app` and whose callback sets `outcome`. main.cpp calls it, prints the
/// error of the outcome as one line on stderr and exits: 0 done, 1 failed, 2 wrong usage (which CLI
/// finds before any callback runs).
namespace preflight::run {

/// All of standard input, at most `most_bytes`.
Result<std::string> read_stdin(std::size_t most_bytes);

/// Writes to standard output and flushes: a full disk or a closed pipe is an error, not a success.
Result<void> write_stdout(std::string_view bytes);

}  // namespace preflight::run
