// How many reviews and bytes may wait, in all and per user. Counted in memory; the store says what
// is there at the start.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "daemon/store.h"
#include "vk/error.h"

namespace preflight::daemon {

struct QuotaLimits {
  std::uint64_t max_reviews = 64;
  std::uint64_t max_reviews_per_user = 32;
  std::uint64_t max_spool_bytes = std::uint64_t{32} << 30;
  std::uint64_t max_spool_bytes_per_user = std::uint64_t{8} << 30;
};

/// Why something does not fit: the setting that says so, and a sentence.
struct QuotaRefusal {
  const char* setting = "";
  std::string message;
};

class Quota {
 public:
  Quota(const QuotaLimits& limits, const std::vector<Usage>& already_there);

  /// Takes a place for one more review. Give it back by release().
  std::optional<QuotaRefusal> take_review(uid_t uid);
  std::optional<QuotaRefusal> take_bytes(uid_t uid, std::uint64_t bytes);
  /// Counts a review that is in the queue already, whatever the limits.
  void add_review(uid_t uid);
  void release(uid_t uid, std::uint64_t reviews, std::uint64_t bytes);

  [[nodiscard]] std::uint64_t used_bytes() const;
  [[nodiscard]] const QuotaLimits& limits() const { return limits_; }

 private:
  struct Use {
    std::uint64_t reviews = 0, bytes = 0;
  };
  const QuotaLimits limits_;
  mutable std::mutex mutex_;
  Use total_;
  std::map<uid_t, Use> of_user_;
};

/// One upload's share of the quota: given back unless it became a review.
class QuotaShare {
 public:
  QuotaShare(Quota& quota, uid_t uid) : quota_(quota), uid_(uid) {}
  ~QuotaShare() { quota_.release(uid_, reviews_, bytes_); }
  QuotaShare(const QuotaShare&) = delete;
  QuotaShare& operator=(const QuotaShare&) = delete;

  std::optional<QuotaRefusal> take_review();
  std::optional<QuotaRefusal> take_bytes(std::uint64_t bytes);
  /// What an upload can have at the very most, with nothing else on the spool.
  [[nodiscard]] std::uint64_t most_bytes() const;
  /// The review owns it from now on, its place in the queue included.
  void keep();

 private:
  Quota& quota_;
  uid_t uid_;
  std::uint64_t reviews_ = 0, bytes_ = 0;
};

}  // namespace preflight::daemon
