#include "daemon/review_worker.h"

#include <algorithm>
#include <utility>

#include "daemon/log.h"

namespace preflight::daemon {

using nlohmann::json;
using protocol::ReviewState;
using std::chrono::milliseconds;

namespace {

std::int64_t steady_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// A full disk is waited out: the report is worth more than the pause.
constexpr milliseconds kStoreRetry{5'000};
constexpr milliseconds kIdleLook{1'000};
constexpr milliseconds kTidyInterval{3'600'000};

}  // namespace

std::int64_t wall_ms() {
  return std::chrono::duration_cast<milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void ReviewWorker::start() {
  beat();
  thread_ = std::thread([this] { run(); });
}

void ReviewWorker::stop() {
  stopping_ = true;
  wake();
  if (thread_.joinable()) thread_.join();
}

void ReviewWorker::wake() {
  const std::scoped_lock lock(mutex_);
  woken_ = true;
  changed_.notify_all();
}

void ReviewWorker::cancel(std::string_view id) {
  const std::scoped_lock lock(mutex_);
  to_cancel_.emplace(id);
}

bool ReviewWorker::alive(milliseconds running_limit, milliseconds loading_limit) const {
  const milliseconds silent{steady_ms() - last_beat_ms_.load()};
  // A review builds a lost device again, which is loading as well.
  const bool loading = phase_.load() == Phase::kLoading || parts_.reviewer.health().loading;
  return silent <= (loading ? loading_limit : running_limit);
}

std::chrono::seconds ReviewWorker::usual_duration() const {
  return std::chrono::duration_cast<std::chrono::seconds>(milliseconds(usual_ms_.load()));
}

void ReviewWorker::beat() { last_beat_ms_ = steady_ms(); }

bool ReviewWorker::pause(milliseconds longest) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, longest, [this] { return woken_ || stopping_.load(); });
  woken_ = false;
  return stopping_.load();
}

void ReviewWorker::run() {
  phase_ = Phase::kLoading;
  parts_.reviewer.start([this] {
    beat();
    return stopping_.load();
  });
  phase_ = Phase::kIdle;
  beat();
  while (!stopping_) {
    beat();
    tidy();
    const Result<std::optional<Job>> job = parts_.store.start_next(wall_ms());
    if (!job) {
      log(LogLevel::kError, "cannot take a review from the queue: {}", job.error().message);
      pause(kStoreRetry);
    } else if (!job->has_value()) {
      pause(kIdleLook);
    } else {
      work_on(**job);
    }
  }
}

void ReviewWorker::tidy() {
  if (steady_ms() < next_tidy_ms_) return;
  next_tidy_ms_ = steady_ms() + kTidyInterval.count();
  const Result<std::int64_t> pruned = parts_.store.prune(wall_ms() - keep_.count());
  if (!pruned)
    log(LogLevel::kError, "old reports cannot be deleted: {}", pruned.error().message);
  else if (*pruned > 0)
    log(LogLevel::kInfo, "{} old reports deleted", *pruned);
}

void ReviewWorker::work_on(const Job& job) {
  parts_.hub.notify(job.id);
  log(LogLevel::kInfo, "review {} starts, attempt {}", job.id, job.attempt);
  const std::int64_t started_ms = steady_ms();

  const auto cancelled_by_owner = [&] {
    const std::scoped_lock lock(mutex_);
    return to_cancel_.contains(job.id);
  };
  const ReviewEvents events{.emit =
                                [&](const json& event) {
                                  beat();
                                  const auto name = event.find("event");
                                  PREFLIGHT_ASSERT(name != event.end() && name->is_string());
                                  const Result<void> stored = parts_.store.append_event(
                                      job.id, name->get_ref<const std::string&>(),
                                      event.dump(-1, ' ', false, json::error_handler_t::replace));
                                  // An event that cannot be kept (disk full) is progress lost, not
                                  // the review.
                                  if (!stored)
                                    log(LogLevel::kWarning, "review {}: an event is lost: {}",
                                        job.id, stored.error().message);
                                  else
                                    parts_.hub.notify(job.id);
                                },
                            .cancelled =
                                [&] {
                                  beat();
                                  return stopping_.load() || cancelled_by_owner();
                                }};

  Result<json> report = fail(ErrorCode::kNotFound,
                             "the bundle's files are gone from the spool; send the bundle again");
  if (parts_.spool.has(job.id)) {
    phase_ = Phase::kRunning;
    report = parts_.reviewer.run({.spool_dir = parts_.spool.bundle_dir(job.id),
                                  .work_dir = parts_.spool.work_dir(job.id),
                                  .facts_only = job.facts_only},
                                 events);
    phase_ = Phase::kIdle;
  }
  beat();

  if (report) {
    end(job, ReviewState::kDone, "", report->dump(-1, ' ', false, json::error_handler_t::replace));
    usual_ms_ = (usual_ms_ * 3 + (steady_ms() - started_ms)) / 4;
  } else if (cancelled_by_owner()) {
    end(job, ReviewState::kCancelled, "cancelled by its owner", "");
  } else if (stopping_) {
    const Result<void> put_back = parts_.store.requeue(job.id, /*count=*/false);
    if (!put_back)
      log(LogLevel::kError, "review {}: {}", job.id, put_back.error().message);
    else
      log(LogLevel::kInfo, "review {} goes on at the next start", job.id);
  } else if (report.error().code == ErrorCode::kDeviceLost && job.attempt < kMaxAttempts) {
    log(LogLevel::kWarning, "review {}: the device was lost, it will be tried again", job.id);
    const Result<void> put_back = parts_.store.requeue(job.id, /*count=*/true);
    if (!put_back) log(LogLevel::kError, "review {}: {}", job.id, put_back.error().message);
  } else {
    end(job, ReviewState::kFailed, report.error().message, "");
  }
  const std::scoped_lock lock(mutex_);
  to_cancel_.erase(job.id);
}

void ReviewWorker::end(const Job& job, ReviewState state, std::string_view reason,
                       std::string_view report) {
  for (;;) {
    beat();
    const Result<void> stored = parts_.store.finish(job.id, state, reason, report, wall_ms());
    if (stored) break;
    log(LogLevel::kError, "review {}: its end cannot be stored: {}", job.id,
        stored.error().message);
    if (pause(kStoreRetry)) return;  // the next start does it again
  }
  log(LogLevel::kInfo, "review {} {}", job.id, protocol::to_string(state));
  parts_.spool.remove(job.id);
  parts_.quota.release(job.uid, 1, job.bytes);
  parts_.hub.notify(job.id);
}

}  // namespace preflight::daemon
