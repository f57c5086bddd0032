// Tells those who follow a review that its events have grown. What they are, is in the store.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace preflight::daemon {

class EventHub {
 public:
  using Token = std::pair<std::string, std::uint64_t>;

  /// `wake` is called on the notifying thread and must not block or call the hub.
  Token subscribe(std::string_view review, std::function<void()> wake) {
    const std::scoped_lock lock(mutex_);
    followers_[std::string(review)].emplace(++last_token_, std::move(wake));
    return {std::string(review), last_token_};
  }

  /// After it returns, `wake` is not called again.
  void unsubscribe(const Token& token) {
    const std::scoped_lock lock(mutex_);
    const auto it = followers_.find(token.first);
    if (it == followers_.end()) return;
    it->second.erase(token.second);
    if (it->second.empty()) followers_.erase(it);
  }

  void notify(std::string_view review) {
    const std::scoped_lock lock(mutex_);
    const auto it = followers_.find(review);
    if (it == followers_.end()) return;
    for (const auto& [token, wake] : it->second) wake();
  }

 private:
  std::mutex mutex_;
  std::uint64_t last_token_ = 0;
  std::map<std::string, std::map<std::uint64_t, std::function<void()>>, std::less<>> followers_;
};

}  // namespace preflight::daemon
