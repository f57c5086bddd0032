#pragma once

#include "daemon/review_job.h"
#include "engine/engine.h"

namespace preflight::daemon {

/// The engine as the administrator's settings and the needs of reviews want it.
[[nodiscard]] engine::EngineOptions engine_options(const ReviewerSettings& settings);

}  // namespace preflight::daemon
