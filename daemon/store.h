// The queue, the events and the results: one SQLite database in WAL mode, one connection, one lock.
//
// What a client was promised (a review taken, an attempt counted, an end) is synced to the disk
// before the call returns. Progress events are not: after a power cut the last ones may be missing,
// which a replay makes good.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "daemon/protocol/event.h"
#include "daemon/protocol/review_status.h"
#include "daemon/sqlite.h"

namespace preflight::daemon {

/// The starts that a review gets; when the last one does not return either, it has failed.
inline constexpr std::uint32_t kMaxAttempts = 3;

struct NewReview {
  std::string id;
  uid_t uid = 0;
  std::string key;  ///< idempotency key; empty: none
  std::string digest;
  std::string bundle_id;
  bool facts_only = false;
  std::uint64_t bytes = 0;  ///< on the spool
  std::int64_t created_ms = 0;
};

/// A review whose turn it is; the attempt is counted already.
struct Job {
  std::string id;
  uid_t uid = 0;
  bool facts_only = false;
  std::uint64_t bytes = 0;
  std::uint32_t attempt = 1;
};

/// What one user has waiting or running.
struct Usage {
  uid_t uid = 0;
  std::uint64_t reviews = 0, bytes = 0;
};

class Store {
 public:
  /// Opens or makes `path`. A file that is no sound database of ours is moved aside as
  /// <path>.corrupt-<time> and a fresh one begun: see moved_aside(). Errors: the folder cannot be
  /// written; the database was written by a newer version.
  static Result<std::unique_ptr<Store>> open(const std::filesystem::path& path);

  /// Empty, or one sentence on what open() had to do.
  [[nodiscard]] const std::string& moved_aside() const { return moved_aside_; }

  /// Start of the daemon: reviews that were running get back to their place in the queue; those
  /// whose last attempt died fail, cancelled ones end. Returns the ids of those that ended.
  Result<std::vector<std::string>> recover(std::int64_t now_ms);

  enum class Taken { kNew, kSame, kConflict };
  struct Insertion {
    Taken taken = Taken::kNew;
    std::string id;  ///< of the review that the key stands for
  };
  /// kSame and kConflict: the user's key is known, with this or another digest; nothing was stored.
  Result<Insertion> insert(const NewReview& review);
  Result<bool> knows_key(uid_t uid, std::string_view key);

  /// The user's newest 500 reviews, newest first, without reports.
  Result<std::vector<protocol::ReviewStatus>> list(uid_t uid);
  /// With its report. None: no such review, or another user's.
  Result<std::optional<protocol::ReviewStatus>> find(uid_t uid, std::string_view id);

  /// Takes the oldest waiting review and counts the attempt.
  Result<std::optional<Job>> start_next(std::int64_t now_ms);
  /// Ends a review: its last event is stored with it. `report` is JSON text, empty unless done.
  Result<void> finish(std::string_view id, protocol::ReviewState state, std::string_view reason,
                      std::string_view report, std::int64_t now_ms);
  /// Puts a running review back. `count` false: its owner stopped us, not itself, so the attempt
  /// does not count.
  Result<void> requeue(std::string_view id, bool count);

  enum class Cancelled { kNone, kNow, kSoon };
  /// kNow: it was waiting and has ended; kSoon: it is running and marked; kNone: not unfinished.
  Result<Cancelled> cancel(uid_t uid, std::string_view id, std::int64_t now_ms);
  /// Deletes a finished review. False: there is none.
  Result<bool> erase(uid_t uid, std::string_view id);
  /// Deletes what ended before `before_ms`. Returns how many.
  Result<std::int64_t> prune(std::int64_t before_ms);

  /// Stores an event; a "prefill" takes the place of the one before it.
  Result<void> append_event(std::string_view id, std::string_view name, std::string_view data);
  /// At most `limit` events with a number above `after`.
  Result<std::vector<protocol::Event>> events_after(std::string_view id, std::uint64_t after,
                                                    std::uint32_t limit);

  /// No further events will come: the review has ended or is gone.
  Result<bool> is_over(std::string_view id);

  Result<std::vector<Usage>> usage();
  Result<std::vector<std::string>> unfinished_ids();
  struct Counts {
    std::uint64_t queued = 0, running = 0;
  };
  Result<Counts> counts();

 private:
  explicit Store(Database database) : database_(std::move(database)) {}
  Result<void> add_event(std::string_view id, std::string_view name, std::string_view data);
  Result<void> finish_locked(std::string_view id, protocol::ReviewState state,
                             std::string_view reason, std::string_view report, std::int64_t now_ms);

  std::mutex mutex_;
  Database database_;
  std::string moved_aside_;
};

}  // namespace preflight::daemon
