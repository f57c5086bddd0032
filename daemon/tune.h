// `preflightd tune`: measures which sizes of the engine's tuning table are the fastest here.
#pragma once

#include "daemon/review_job.h"
#include "vk/error.h"

namespace preflight::daemon {

/// A line on stdout for each size tried; the winners are kept in settings.cache_dir and taken at
/// the next start. Errors: no model is set, what loading it says, or the folder cannot be written.
Result<void> tune_device(const ReviewerSettings& settings);

}  // namespace preflight::daemon
