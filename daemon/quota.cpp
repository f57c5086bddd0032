#include "daemon/quota.h"

#include <algorithm>

#include <fmt/format.h>

namespace preflight::daemon {

Quota::Quota(const QuotaLimits& limits, const std::vector<Usage>& already_there) : limits_(limits) {
  for (const Usage& usage : already_there) {
    of_user_[usage.uid] = {usage.reviews, usage.bytes};
    total_.reviews += usage.reviews;
    total_.bytes += usage.bytes;
  }
}

std::optional<QuotaRefusal> Quota::take_review(uid_t uid) {
  const std::scoped_lock lock(mutex_);
  const auto known = of_user_.find(uid);
  const std::uint64_t own = known == of_user_.end() ? 0 : known->second.reviews;
  if (total_.reviews >= limits_.max_reviews)
    return QuotaRefusal{"queue.max_reviews",
                        fmt::format("the queue is full: {} reviews wait or run", total_.reviews)};
  if (own >= limits_.max_reviews_per_user)
    return QuotaRefusal{"queue.max_reviews_per_user",
                        fmt::format("{} of your reviews wait or run already", own)};
  ++total_.reviews;
  ++of_user_[uid].reviews;
  return std::nullopt;
}

std::optional<QuotaRefusal> Quota::take_bytes(uid_t uid, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  const auto known = of_user_.find(uid);
  const std::uint64_t own = known == of_user_.end() ? 0 : known->second.bytes;
  const auto refuse = [&](const char* setting, std::uint64_t used, std::uint64_t limit) {
    return QuotaRefusal{setting,
                        fmt::format("the spool is full: {} of {} bytes are taken, {} more are "
                                    "asked for",
                                    used, limit, bytes)};
  };
  if (bytes > limits_.max_spool_bytes || total_.bytes > limits_.max_spool_bytes - bytes)
    return refuse("spool.max_mib", total_.bytes, limits_.max_spool_bytes);
  if (bytes > limits_.max_spool_bytes_per_user || own > limits_.max_spool_bytes_per_user - bytes)
    return refuse("spool.max_mib_per_user", own, limits_.max_spool_bytes_per_user);
  total_.bytes += bytes;
  of_user_[uid].bytes += bytes;
  return std::nullopt;
}

void Quota::add_review(uid_t uid) {
  const std::scoped_lock lock(mutex_);
  ++total_.reviews;
  ++of_user_[uid].reviews;
}

void Quota::release(uid_t uid, std::uint64_t reviews, std::uint64_t bytes) {
  const std::scoped_lock lock(mutex_);
  const auto known = of_user_.find(uid);
  if (known == of_user_.end()) return;
  Use& own = known->second;
  PREFLIGHT_ASSERT(own.reviews >= reviews && own.bytes >= bytes);
  own.reviews -= reviews;
  own.bytes -= bytes;
  total_.reviews -= reviews;
  total_.bytes -= bytes;
  if (own.reviews == 0 && own.bytes == 0) of_user_.erase(known);
}

std::uint64_t Quota::used_bytes() const {
  const std::scoped_lock lock(mutex_);
  return total_.bytes;
}

std::optional<QuotaRefusal> QuotaShare::take_review() {
  auto refusal = quota_.take_review(uid_);
  if (!refusal) ++reviews_;
  return refusal;
}

std::optional<QuotaRefusal> QuotaShare::take_bytes(std::uint64_t bytes) {
  auto refusal = quota_.take_bytes(uid_, bytes);
  if (!refusal) bytes_ += bytes;
  return refusal;
}

std::uint64_t QuotaShare::most_bytes() const {
  return std::min(quota_.limits().max_spool_bytes, quota_.limits().max_spool_bytes_per_user);
}

void QuotaShare::keep() {
  if (reviews_ == 0) quota_.add_review(uid_);
  reviews_ = bytes_ = 0;
}

}  // namespace preflight::daemon
