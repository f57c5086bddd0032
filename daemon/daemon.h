// preflightd as a whole: state, socket and threads put together, run and taken apart again.
#pragma once

#include "daemon/settings.h"
#include "vk/error.h"

namespace preflight::daemon {

/// Runs until SIGTERM or SIGINT. Errors: what keeps the daemon from serving at all (state folder,
/// socket, rules); a missing model or device is none of these.
///
/// Threads: the HTTP loop with its workers, the review thread, and the caller's, which waits for
/// the signal. Call it before any other thread exists, since it blocks signals for all of them.
Result<void> run_daemon(const Settings& settings);

/// `preflightd --check`: one sentence on stdout for each thing that a start needs. True: all good.
bool check_installation(const Settings& settings);

}  // namespace preflight::daemon
