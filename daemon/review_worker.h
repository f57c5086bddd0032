// The review thread: takes one review after another from the store and sees each to its end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "daemon/event_hub.h"
#include "daemon/quota.h"
#include "daemon/review_job.h"
#include "daemon/spool.h"
#include "daemon/store.h"

namespace preflight::daemon {

class ReviewWorker {
 public:
  /// All of them outlive the worker.
  struct Parts {
    Store& store;
    Spool& spool;
    Quota& quota;
    EventHub& hub;
    Reviewer& reviewer;
  };

  /// Reports are deleted `keep` after the end of their review.
  ReviewWorker(Parts parts, std::chrono::milliseconds keep) : parts_(parts), keep_(keep) {}
  ~ReviewWorker() { stop(); }

  void start();
  /// Asks the running review to give up, so that it resumes at the next start; waits for it.
  void stop();
  /// Any thread: there is a new review.
  void wake();
  /// Any thread: this review, which the store says is running, is to stop.
  void cancel(std::string_view id);

  /// Whether the thread shows signs of life: false when a review has not asked `cancelled` for
  /// `running_limit`, or loading has not asked for `loading_limit`. Any thread.
  [[nodiscard]] bool alive(std::chrono::milliseconds running_limit,
                           std::chrono::milliseconds loading_limit) const;
  /// How long a review takes lately; for Retry-After. Any thread.
  [[nodiscard]] std::chrono::seconds usual_duration() const;

 private:
  enum class Phase { kIdle, kLoading, kRunning };

  void run();
  void work_on(const Job& job);
  void end(const Job& job, protocol::ReviewState state, std::string_view reason,
           std::string_view report);
  void tidy();
  void beat();
  /// True when the thread is to end.
  bool pause(std::chrono::milliseconds longest);

  Parts parts_;
  const std::chrono::milliseconds keep_;
  std::int64_t next_tidy_ms_ = 0;  // steady clock
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  std::atomic<Phase> phase_{Phase::kIdle};
  std::atomic<std::int64_t> last_beat_ms_{0};  // steady clock
  std::atomic<std::int64_t> usual_ms_{30'000};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  std::set<std::string, std::less<>> to_cancel_;  // running, or about to
};

/// Wall clock in milliseconds since 1970.
std::int64_t wall_ms();

}  // namespace preflight::daemon
