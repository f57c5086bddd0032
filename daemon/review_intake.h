// POST /v1/reviews: the body becomes a folder of the spool, then a row of the queue, then an
// answer.
#pragma once

#include "daemon/http_server.h"
#include "daemon/service.h"

namespace preflight::daemon {

/// A sink for the body, or the refusal that needs none of it.
HttpAnswer take_in(Service& service, const HttpRequest& request);

/// A refusal as an answer; 429 with a time to try again.
HttpResponse refusal_response(const Service& service, const UploadRefusal& refusal);

/// What went wrong inside: 507 for a full disk, else 500; the log gets the whole message.
HttpResponse failure_response(const Error& error);

}  // namespace preflight::daemon
