// What each path means. docs/protocol.md is the same for readers.
#pragma once

#include "daemon/http_server.h"
#include "daemon/protocol/health.h"
#include "daemon/service.h"

namespace preflight::daemon {

class Routes final : public HttpHandler {
 public:
  explicit Routes(Service service) : service_(service) {}

  HttpAnswer handle(const HttpRequest& request) override;

  /// The whole truth at this moment.
  protocol::Health health() const;

 private:
  HttpResponse get_health() const;
  HttpResponse get_models() const;
  HttpResponse list_reviews(uid_t uid) const;
  HttpResponse get_review(uid_t uid, std::string_view id) const;
  HttpAnswer follow_review(const HttpRequest& request, std::string_view id) const;
  HttpResponse delete_review(uid_t uid, std::string_view id);

  Service service_;
};

}  // namespace preflight::daemon
