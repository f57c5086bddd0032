// Prefix cache: what is found, what it may be cut to, what goes first, and that no page is lost.

#include "engine/kv/prefix_cache.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace preflight::kv {
namespace {

using Keys = std::vector<PositionKey>;

constexpr std::uint32_t kPageTokens = 4, kWindowTokens = 10;

Pools pools_of(std::uint32_t n_sliding, std::uint32_t n_full) {
  return {.sliding = PagePool(n_sliding),
          .full = PagePool(n_full),
          .page_tokens = kPageTokens,
          .sliding_window = kWindowTokens};
}

Keys tokens(std::uint32_t first, std::uint32_t n) {
  Keys keys;
  for (std::uint32_t i = 0; i < n; i++) keys.push_back({.index = first + i});
  return keys;
}

/// A vision block of n soft tokens.
Keys picture(std::uint64_t medium, std::uint32_t n) {
  Keys keys;
  for (std::uint32_t i = 0; i < n; i++)
    keys.push_back({.medium = {.low = medium}, .index = i, .reach = n - 1 - i});
  return keys;
}

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// Keeps `keys` and closes the sequence that held them.
void keep(PrefixCache& cache, Pools& pools, const Keys& keys) {
  SequencePages pages;
  EXPECT_TRUE(pages.extend(pools, static_cast<std::uint32_t>(keys.size())).has_value());
  cache.put(pools, keys, pages);
  pages.release(pools);
}

std::uint32_t found_length(PrefixCache& cache, Pools& pools, const Keys& keys) {
  SequencePages found = cache.find(pools, keys);
  const std::uint32_t length = found.length();
  found.release(pools);
  return length;
}

TEST(PrefixCache, FindsTheLongestBeginningThatItCanContinue) {
  Pools pools = pools_of(40, 40);
  PrefixCache cache(4);
  EXPECT_EQ(found_length(cache, pools, tokens(0, 9)), 0u);
  const Keys shared = tokens(0, 20);
  keep(cache, pools, shared);
  keep(cache, pools, joined(shared, tokens(100, 6)));
  EXPECT_EQ(found_length(cache, pools, joined(shared, tokens(200, 6))), 20u);
  EXPECT_EQ(found_length(cache, pools, joined(shared, tokens(100, 30))), 26u);
  EXPECT_EQ(found_length(cache, pools, shared), 20u);
  // The bookmark of 20 keeps positions from 11 on, so pages from 8 on: a row at 17 still has its
  // window, a row at 16 lacks position 7.
  EXPECT_EQ(found_length(cache, pools, joined(tokens(0, 17), tokens(300, 3))), 17u);
  EXPECT_EQ(found_length(cache, pools, joined(tokens(0, 16), tokens(300, 3))), 0u);
}

TEST(PrefixCache, ABeginningWithinTheWindowMayBeCutAnywhereButInsideABlock) {
  Pools pools = pools_of(40, 40);
  PrefixCache cache(4);
  keep(cache, pools, joined(tokens(0, 3), joined(picture(7, 4), tokens(10, 2))));
  EXPECT_EQ(found_length(cache, pools, joined(tokens(0, 2), tokens(50, 3))), 2u);
  // The same picture, then the same with another behind it in one block, then another picture.
  EXPECT_EQ(found_length(cache, pools, joined(tokens(0, 3), joined(picture(7, 4), tokens(20, 1)))),
            7u);
  EXPECT_EQ(found_length(cache, pools, joined(tokens(0, 3), picture(7, 3))), 3u);
  EXPECT_EQ(found_length(cache, pools, joined(tokens(0, 3), picture(8, 4))), 3u);
}

TEST(PrefixCache, UnknownSoftTokensAreNeverFound) {
  Pools pools = pools_of(40, 40);
  PrefixCache cache(4);
  const Keys keys = joined(tokens(0, 3), {{.index = kUnknownSoftToken}});
  keep(cache, pools, keys);
  EXPECT_EQ(cache.n_bookmarks(), 0u);
  keep(cache, pools, tokens(0, 6));
  EXPECT_EQ(found_length(cache, pools, keys), 3u);
}

TEST(PrefixCache, WhatManyBeginWithOutlivesWhatOneGoesOnWith) {
  Pools pools = pools_of(40, 80);
  PrefixCache cache(2);
  const Keys shared = tokens(0, 12);
  keep(cache, pools, shared);
  for (std::uint32_t variant = 1; variant < 8; variant++) {
    const Keys keys = joined(shared, tokens(100 * variant, 15));
    EXPECT_EQ(found_length(cache, pools, keys), 12u);
    keep(cache, pools, keys);
    EXPECT_EQ(found_length(cache, pools, keys), 27u);
    EXPECT_EQ(cache.n_bookmarks(), 2u);
  }
}

TEST(PrefixCache, ABookmarkThatIsPutAgainIsOneBookmark) {
  Pools pools = pools_of(40, 40);
  PrefixCache cache(2);
  keep(cache, pools, tokens(0, 12));
  keep(cache, pools, tokens(100, 12));
  keep(cache, pools, tokens(0, 12));
  EXPECT_EQ(cache.n_bookmarks(), 2u);
  keep(cache, pools, tokens(200, 12));  // 100 was not used for the longest time
  EXPECT_EQ(found_length(cache, pools, tokens(0, 12)), 12u);
  EXPECT_EQ(found_length(cache, pools, tokens(100, 12)), 0u);
}

TEST(PrefixCache, HoldsOneWindowOfSlidingPagesAndGivesThemBack) {
  Pools pools = pools_of(40, 40);
  PrefixCache cache(1);
  keep(cache, pools, tokens(0, 40));
  EXPECT_EQ(pools.full.n_free(), 30u);
  EXPECT_EQ(pools.sliding.n_free(), 37u);  // positions 31 to 39
  SequencePages reader = cache.find(pools, tokens(0, 41));
  EXPECT_TRUE(cache.give_up_oldest(pools));
  EXPECT_EQ(pools.full.n_free(), 30u);  // the reader's still
  EXPECT_FALSE(cache.give_up_oldest(pools));
  reader.release(pools);
  EXPECT_EQ(pools.full.n_free(), 40u);
  EXPECT_EQ(pools.sliding.n_free(), 40u);
}

/// What a forward pass would store at position p: it depends on all that the row sees.
std::size_t value_at(const Keys& keys, std::size_t p) {
  std::size_t value = 17;
  for (std::size_t i = 0; i <= p + keys[p].reach; i++)
    for (const std::uint64_t part :
         {keys[i].medium.low, std::uint64_t{keys[i].index}, std::uint64_t{keys[i].reach}})
      value = value * 1099511628211u + part + 1;
  return value;
}

/// The cache as a list of whole sequences: which beginnings it may know, and in what order they go.
class Model {
 public:
  explicit Model(std::size_t most) : most_(most) {}

  std::size_t find(const Keys& keys) {
    std::size_t best = 0;
    Entry* from = nullptr;
    for (Entry& entry : entries_)
      for (std::size_t n = 1; n <= std::min(keys.size(), entry.keys.size()); n++) {
        const bool equal =
            std::ranges::equal(std::span(keys).first(n), std::span(entry.keys).first(n));
        const bool better = n > best || (n == best && entry.used > from->used);
        if (equal && better && keys[n - 1].reach == 0 && sees_window(entry.keys.size(), n)) {
          best = n;
          from = &entry;
        }
      }
    if (from != nullptr) {
      from->used = ++clock_;
      use_beginnings_of(keys);
    }
    return best;
  }
  void put(const Keys& keys) {
    const bool known = std::ranges::any_of(entries_, [&](auto& e) { return e.keys == keys; });
    if (!known) {
      if (entries_.size() == most_) give_up();
      entries_.push_back({keys, 0});
    }
    use_beginnings_of(keys);
  }
  bool give_up() {
    if (entries_.empty()) return false;
    std::ranges::sort(entries_, {}, &Entry::used);
    entries_.erase(entries_.begin());
    return true;
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    Keys keys;
    std::uint64_t used;
  };
  /// Page of the first position that a row at n sees.
  static std::size_t first_page(std::size_t n) {
    return n < kWindowTokens ? 0 : (n + 1 - kWindowTokens) / kPageTokens;
  }
  static bool sees_window(std::size_t kept, std::size_t n) {
    return first_page(n) >= first_page(kept);
  }
  void use_beginnings_of(const Keys& keys) {
    for (std::size_t n = keys.size(); n > 0; n--)
      for (Entry& entry : entries_)
        if (entry.keys.size() == n &&
            std::equal(entry.keys.begin(), entry.keys.end(), keys.begin()))
          entry.used = ++clock_;
  }

  std::size_t most_;
  std::vector<Entry> entries_;
  std::uint64_t clock_ = 0;
};

// Any order of operations, with pools so small that bookmarks are given up for sequences: what is
// found is what the model of the cache says, and holds what it would hold from scratch.
TEST(PrefixCache, RandomWalksFindWhatIsThereAndLoseNoPage) {
  constexpr std::uint32_t kSliding = 22, kFull = 26;
  struct Open {
    SequencePages pages;
    Keys keys;
  };
  std::size_t n_found = 0;
  std::size_t n_given_up = 0;
  for (std::uint32_t seed = 0; seed < 12; seed++) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    Pools pools = pools_of(kSliding, kFull);
    PrefixCache cache(3);
    Model model(3);
    std::map<std::pair<bool, PageId>, std::vector<std::size_t>> memory;
    std::vector<Open> open;
    std::vector<Keys> seen = {{}};

    const auto random_piece = [&]() -> Keys {
      return below(4) == 0 ? picture(1 + below(2), 1 + below(5)) : tokens(below(3), 1 + below(4));
    };
    // As the engine does it: room, or a bookmark less. False: there was no room at all.
    const auto append = [&](Open& s, const Keys& keys) {
      const auto n = static_cast<std::uint32_t>(keys.size());
      auto copies = s.pages.extend(pools, n);
      while (!copies && cache.give_up_oldest(pools)) {
        EXPECT_TRUE(model.give_up());
        n_given_up++;
        copies = s.pages.extend(pools, n);
      }
      if (!copies) return false;
      for (const PageCopy& copy : *copies)
        memory[{copy.full, copy.to}] = memory[{copy.full, copy.from}];
      const std::size_t from = s.keys.size();
      s.keys.insert(s.keys.end(), keys.begin(), keys.end());
      for (std::size_t p = from; p < s.keys.size(); p++)
        for (const bool full : {false, true}) {
          auto& page = memory[{full, (full ? s.pages.full() : s.pages.sliding())[p / kPageTokens]}];
          page.resize(kPageTokens);
          page[p % kPageTokens] = value_at(s.keys, p);
        }
      s.pages.release_behind_window(pools);
      return true;
    };
    const auto check = [&](const Open& s) {
      ASSERT_EQ(s.pages.length(), s.keys.size());
      for (std::size_t p = 0; p < s.keys.size(); p++) {
        ASSERT_EQ((memory[{true, s.pages.full()[p / kPageTokens]}][p % kPageTokens]),
                  value_at(s.keys, p));
        const PageId sliding = s.pages.sliding()[p / kPageTokens];
        if (p + kWindowTokens > s.keys.size()) {
          ASSERT_NE(sliding, kNoPage) << "a visible page is gone";
        }
        if (sliding != kNoPage) {
          ASSERT_EQ((memory[{false, sliding}][p % kPageTokens]), value_at(s.keys, p));
        }
      }
    };

    for (int step = 0; step < 500; step++) {
      const std::uint32_t what = below(8);
      if (what <= 2 || open.empty()) {
        Keys query = seen[below(seen.size())];
        while (query.size() < 24 && below(3) != 0) query = joined(query, random_piece());
        Open s{.pages = cache.find(pools, query), .keys = {}};
        ASSERT_EQ(s.pages.length(), model.find(query)) << "seed " << seed << ", step " << step;
        s.keys.assign(query.begin(), query.begin() + s.pages.length());
        if (!s.keys.empty()) n_found++;
        check(s);
        const Keys rest(query.begin() + s.pages.length(), query.end());
        if (open.size() < 5 && append(s, rest)) {
          seen.push_back(query);
          open.push_back(std::move(s));
        } else {
          s.pages.release(pools);
        }
      } else if (what <= 4) {
        const Open& s = open[below(open.size())];
        if (!s.keys.empty()) {
          cache.put(pools, s.keys, s.pages);
          model.put(s.keys);
        }
      } else if (what == 5) {
        Open& s = open[below(open.size())];
        if (s.keys.size() < 36) append(s, random_piece());
      } else if (what == 6) {
        Open& s = open[below(open.size())];
        s.pages.release(pools);
        std::swap(s, open.back());
        open.pop_back();
      } else if (below(6) == 0) {
        ASSERT_EQ(cache.give_up_oldest(pools), model.give_up());
      }
      ASSERT_EQ(cache.n_bookmarks(), model.size());
      for (const Open& each : open) {
        check(each);
        if (HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
      }
    }
    while (cache.give_up_oldest(pools)) {
    }
    std::set<PageId> full;
    for (const Open& each : open) full.insert(each.pages.full().begin(), each.pages.full().end());
    EXPECT_EQ(pools.full.n_free(), kFull - full.size());
    for (Open& each : open) each.pages.release(pools);
    EXPECT_EQ(pools.sliding.n_free(), kSliding);
    EXPECT_EQ(pools.full.n_free(), kFull);
  }
  EXPECT_GT(n_found, 500u);
  EXPECT_GT(n_given_up, 100u);
}

}  // namespace
}  // namespace preflight::kv
