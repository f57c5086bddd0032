#include "daemon/review_feed.h"

#include <optional>
#include <utility>

namespace preflight::daemon {

namespace {

constexpr std::uint32_t kPageEvents = 64;  // what a slow reader can hold in memory

class ReviewFeed final : public EventFeed {
 public:
  ReviewFeed(Store& store, EventHub& hub, std::string id, std::uint64_t after)
      : store_(store), hub_(hub), id_(std::move(id)), after_(after) {}
  ~ReviewFeed() override {
    if (token_) hub_.unsubscribe(*token_);
  }
  ReviewFeed(const ReviewFeed&) = delete;
  ReviewFeed& operator=(const ReviewFeed&) = delete;

  Result<Page> next() override {
    // Asked first: what ends in between is then still among the events.
    PREFLIGHT_TRY(const bool over, store_.is_over(id_));
    PREFLIGHT_TRY(const std::vector<protocol::Event> events,
                  store_.events_after(id_, after_, kPageEvents));
    Page page;
    for (const protocol::Event& event : events) {
      page.events.push_back(protocol::to_sse(event));
      page.last = page.last || protocol::is_last_event(event.name);
      after_ = event.seq;
    }
    // A reader that has seen the end already, or whose review was deleted, waits for nothing.
    if (events.empty()) page.last = over;
    return page;
  }

  void wake_by(std::function<void()> wake) override {
    token_ = hub_.subscribe(id_, std::move(wake));
  }

 private:
  Store& store_;
  EventHub& hub_;
  const std::string id_;
  std::uint64_t after_;
  std::optional<EventHub::Token> token_;
};

}  // namespace

std::unique_ptr<EventFeed> make_review_feed(Store& store, EventHub& hub, std::string id,
                                            std::uint64_t after) {
  return std::make_unique<ReviewFeed>(store, hub, std::move(id), after);
}

}  // namespace preflight::daemon
