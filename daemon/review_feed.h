// GET /v1/reviews/{id}/events: what the store has of a review's events, then what comes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "daemon/event_hub.h"
#include "daemon/http_server.h"
#include "daemon/store.h"

namespace preflight::daemon {

/// The events of review `id` after number `after`. `store` and `hub` outlive it.
std::unique_ptr<EventFeed> make_review_feed(Store& store, EventHub& hub, std::string id,
                                            std::uint64_t after);

}  // namespace preflight::daemon
