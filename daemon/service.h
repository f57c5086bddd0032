// The daemon's parts, as the routes see them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "daemon/event_hub.h"
#include "daemon/quota.h"
#include "daemon/review_job.h"
#include "daemon/review_worker.h"
#include "daemon/spool.h"
#include "daemon/store.h"
#include "daemon/upload.h"

namespace preflight::daemon {

/// Borrowed; everything outlives the server.
struct Service {
  Store& store;
  Spool& spool;
  Quota& quota;
  EventHub& hub;
  Reviewer& reviewer;
  ReviewWorker& worker;
  BundleLimits bundle_limits;
  std::uint64_t min_free_bytes = 0;          ///< no upload begins with less on the disk
  std::chrono::milliseconds stall_limit{0};  ///< the review thread's longest silence in a review
  std::chrono::milliseconds load_limit{0};   ///< and while the model is being loaded
};

/// Seconds after which a full queue is worth another try.
std::string retry_after(const Service& service);

}  // namespace preflight::daemon
