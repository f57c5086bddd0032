// The daemon's answers as types, its refusals as sentences, and patience while it restarts.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "client/http.h"
#include "client/outcome.h"
#include "client/upload.h"
#include "daemon/protocol/event.h"
#include "daemon/protocol/health.h"
#include "daemon/protocol/review_status.h"

namespace preflight::client {

class Api {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::filesystem::path socket;
    std::function<bool()> interrupted;
    Clock::time_point deadline = Clock::time_point::max();
    /// Told once each time the daemon goes away under a call that waits for it.
    std::function<void(const std::string&)> on_absence;
  };

  explicit Api(Options options);

  /// How long a daemon that was there before may be away.
  static constexpr std::chrono::seconds kMaxAbsence{60};

  // The first call fails at once when nobody answers; later ones wait for a restart.
  // Errors: kUnavailable (no daemon, or it refuses for now), kUsage (it refuses for good),
  // kStopped (time over, interrupted), kInternal (an answer that makes no sense).
  Outcome<protocol::Health> health();
  Outcome<std::vector<protocol::ReviewStatus>> list();
  Outcome<protocol::ReviewStatus> status(const std::string& id);
  /// Cancels a review; deletes a finished one.
  Outcome<void> remove(const std::string& id);

  /// Sends the bundle; a repetition after a lost answer cannot make a second review.
  Outcome<protocol::ReviewStatus> submit(const Upload& upload, bool facts_only);

  /// Every event of the review, each once, until its last one.
  Outcome<void> follow(const std::string& id,
                       const std::function<void(const protocol::Event&)>& on_event);

 private:
  Outcome<Response> call(const Request& request,
                         std::chrono::milliseconds idle = std::chrono::seconds(30));
  /// Sleeps before the next try; an error when the daemon was away for too long.
  Outcome<void> wait_for_return(const HttpError& error);
  void reached();

  Options options_;
  HttpClient http_;
  bool seen_ = false;
  std::optional<Clock::time_point> absent_since_;
  std::chrono::milliseconds next_wait_{100};
};

}  // namespace preflight::client
