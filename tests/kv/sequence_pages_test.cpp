// Page pool and sequence pages: what is shared, copied and given back, and that nothing is lost.

#include "engine/kv/sequence_pages.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace preflight::kv {
namespace {

Pools small_pools(std::uint32_t n_sliding, std::uint32_t n_full, std::uint32_t window = 10) {
  return {.sliding = PagePool(n_sliding),
          .full = PagePool(n_full),
          .page_tokens = 4,
          .sliding_window = window};
}

std::vector<PageCopy> extend(SequencePages& sequence, Pools& pools, std::uint32_t n) {
  auto copies = sequence.extend(pools, n);
  EXPECT_TRUE(copies.has_value()) << copies.error().message;
  return copies.value_or(std::vector<PageCopy>());
}

TEST(PagePool, GivesEachPageOnceAndTakesItBackWithItsLastUser) {
  PagePool pool(3);
  std::set<PageId> taken;
  for (int i = 0; i < 3; i++) taken.insert(pool.take().value());
  EXPECT_EQ(taken, (std::set<PageId>{0, 1, 2}));
  EXPECT_FALSE(pool.take().has_value());

  pool.share(1);
  EXPECT_TRUE(pool.shared(1));
  pool.give_back(1);
  EXPECT_FALSE(pool.shared(1));
  EXPECT_EQ(pool.n_free(), 0u);
  pool.give_back(1);
  EXPECT_EQ(pool.n_free(), 1u);
  EXPECT_EQ(pool.take(), 1u);
}

TEST(SequencePages, ExtendTakesPagesAsPositionsNeedThem) {
  Pools pools = small_pools(8, 8);
  SequencePages sequence;
  EXPECT_TRUE(extend(sequence, pools, 0).empty());
  EXPECT_EQ(pools.full.n_free(), 8u);
  for (const auto& [n, pages] : {std::pair(1u, 1u), {3u, 1u}, {1u, 2u}, {11u, 4u}}) {
    EXPECT_TRUE(extend(sequence, pools, n).empty());
    EXPECT_EQ(sequence.full().size(), pages);
    EXPECT_EQ(sequence.sliding().size(), pages);
  }
  EXPECT_EQ(sequence.length(), 16u);
  EXPECT_EQ(pools.sliding.n_free(), 4u);
  sequence.release(pools);
  EXPECT_EQ(sequence.length(), 0u);
  EXPECT_EQ(pools.sliding.n_free(), 8u);
  EXPECT_EQ(pools.full.n_free(), 8u);
}

TEST(SequencePages, AForkCopiesTheLastPageWhenItIsWritten) {
  Pools pools = small_pools(8, 8);
  SequencePages first;
  extend(first, pools, 6);
  SequencePages second = first.fork(pools);
  EXPECT_EQ(pools.full.n_free(), 6u);  // a fork takes nothing
  EXPECT_EQ(second.full(), first.full());

  const std::vector<PageId> before = first.full();
  const auto copies = extend(second, pools, 1);
  ASSERT_EQ(copies.size(), 2u);  // one page of each pool
  EXPECT_NE(copies[0].full, copies[1].full);
  for (const PageCopy& copy : copies) {
    EXPECT_EQ(copy.from, (copy.full ? first.full() : first.sliding())[1]);
    EXPECT_EQ(copy.to, (copy.full ? second.full() : second.sliding())[1]);
    EXPECT_NE(copy.from, copy.to);
  }
  EXPECT_EQ(first.full(), before);
  EXPECT_EQ(second.full()[0], first.full()[0]);
  // The last page is the first sequence's alone now: no second copy.
  EXPECT_TRUE(extend(first, pools, 2).empty());
  first.release(pools);
  second.release(pools);
  EXPECT_EQ(pools.full.n_free(), 8u);
}

TEST(SequencePages, AForkAtAPageBorderCopiesNothing) {
  Pools pools = small_pools(8, 8);
  SequencePages first;
  extend(first, pools, 8);
  SequencePages second = first.fork(pools);
  EXPECT_TRUE(extend(second, pools, 1).empty());
  EXPECT_TRUE(extend(first, pools, 1).empty());
  EXPECT_NE(first.full()[2], second.full()[2]);
  first.release(pools);
  second.release(pools);
}

TEST(SequencePages, TruncateGivesBackWholePagesAndALaterWriteStillCopies) {
  Pools pools = small_pools(8, 8);
  SequencePages first;
  extend(first, pools, 12);
  SequencePages second = first.fork(pools);
  second.truncate(pools, 5);
  EXPECT_EQ(second.length(), 5u);
  EXPECT_EQ(second.full().size(), 2u);
  EXPECT_EQ(extend(second, pools, 1).size(), 2u);  // position 5 stands in a shared page
  second.truncate(pools, 0);
  EXPECT_TRUE(second.full().empty());
  first.truncate(pools, 12);  // to its own length: nothing happens
  EXPECT_EQ(first.full().size(), 3u);
  first.release(pools);
  EXPECT_EQ(pools.sliding.n_free(), 8u);
}

TEST(SequencePages, PagesBehindTheWindowGoAndThoseAtItsEdgeStay) {
  Pools pools = small_pools(16, 16, /*window=*/10);
  SequencePages sequence;
  extend(sequence, pools, 13);
  sequence.release_behind_window(pools);
  // The next row, 13, sees keys from 4 on: page 0 goes, page 1 (4 to 7) stays.
  EXPECT_EQ(sequence.sliding()[0], kNoPage);
  EXPECT_NE(sequence.sliding()[1], kNoPage);
  EXPECT_EQ(sequence.full().size(), 4u);
  EXPECT_EQ(pools.sliding.n_free(), 13u);
  EXPECT_EQ(pools.full.n_free(), 12u);

  SequencePages fork = sequence.fork(pools);
  extend(sequence, pools, 3);  // the next row, 16, sees from 7 on: page 1 still holds one
  sequence.release_behind_window(pools);
  EXPECT_NE(sequence.sliding()[1], kNoPage);
  extend(sequence, pools, 1);
  sequence.release_behind_window(pools);
  EXPECT_EQ(sequence.sliding()[1], kNoPage);
  EXPECT_NE(fork.sliding()[1], kNoPage);  // the fork's users are its own
  sequence.release(pools);
  fork.release(pools);
  EXPECT_EQ(pools.sliding.n_free(), 16u);
}

TEST(SequencePages, ExhaustionNamesThePoolAndChangesNothing) {
  for (const bool full_is_short : {false, true}) {
    Pools pools = full_is_short ? small_pools(8, 3) : small_pools(3, 8);
    SequencePages first;
    extend(first, pools, 10);
    SequencePages second = first.fork(pools);
    const std::vector<PageId> sliding = second.sliding();
    const std::vector<PageId> full = second.full();
    const std::uint32_t free_sliding = pools.sliding.n_free();
    const std::uint32_t free_full = pools.full.n_free();

    const auto refused = second.extend(pools, 1);  // needs a copy of the last page
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
    EXPECT_EQ(refused.error().message,
              std::string("no room in the KV cache of the ") +
                  (full_is_short ? "full" : "sliding") +
                  " layers: 1 more positions need 1 pages of 4, 0 of 3 are free; a larger context "
                  "is needed");
    EXPECT_EQ(second.length(), 10u);
    EXPECT_EQ(second.sliding(), sliding);
    EXPECT_EQ(second.full(), full);
    EXPECT_EQ(pools.sliding.n_free(), free_sliding);
    EXPECT_EQ(pools.full.n_free(), free_full);

    first.release(pools);  // now the page is the second's alone
    EXPECT_TRUE(second.extend(pools, 1).has_value());
    second.release(pools);
  }
}

// Any order of operations: a model of what each page holds must agree with what sequences read.
TEST(SequencePages, RandomWalksKeepEveryValueAndLoseNoPage) {
  constexpr std::uint32_t kWindow = 10, kPage = 4, kSliding = 40, kFull = 60;
  struct Sequence {
    SequencePages pages;
    std::vector<int> written;  ///< what was stored at each position
  };
  for (std::uint32_t seed = 0; seed < 8; seed++) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return static_cast<std::uint32_t>(random() % n); };
    Pools pools = small_pools(kSliding, kFull, kWindow);
    std::map<std::pair<bool, PageId>, std::vector<int>> memory;  // by pool: a page's content
    std::vector<Sequence> open(1);
    int next_value = 1;
    std::uint32_t n_refused = 0;

    const auto write = [&](Sequence& s, std::uint32_t n) {
      const std::uint32_t from = s.pages.length();
      const auto copies = s.pages.extend(pools, n);
      if (!copies.has_value()) {
        EXPECT_EQ(s.pages.length(), from);
        n_refused++;
        return;
      }
      for (const PageCopy& copy : *copies)
        memory[{copy.full, copy.to}] = memory[{copy.full, copy.from}];
      for (std::uint32_t p = from; p < from + n; p++, next_value++) {
        for (const bool full : {false, true}) {
          auto& page = memory[{full, (full ? s.pages.full() : s.pages.sliding())[p / kPage]}];
          page.resize(kPage);
          page[p % kPage] = next_value;
        }
        s.written.push_back(next_value);
      }
    };
    const auto check = [&](const Sequence& s) {
      ASSERT_EQ(s.pages.length(), s.written.size());
      for (std::uint32_t p = 0; p < s.written.size(); p++) {
        ASSERT_EQ((memory[{true, s.pages.full()[p / kPage]}][p % kPage]), s.written[p]);
        const PageId sliding = s.pages.sliding()[p / kPage];
        if (sliding == kNoPage) {
          ASSERT_LT(p + kWindow, s.pages.length() + 1) << "a visible page is gone";
        } else {
          ASSERT_EQ((memory[{false, sliding}][p % kPage]), s.written[p]);
        }
      }
    };

    for (int step = 0; step < 400; step++) {
      Sequence& s = open[below(open.size())];
      switch (below(8)) {
        case 0:
          if (open.size() < 8) {
            Sequence fork{.pages = s.pages.fork(pools), .written = s.written};
            open.push_back(std::move(fork));
          }
          break;
        case 1:
          if (open.size() > 1) {
            s.pages.release(pools);
            std::swap(s, open.back());
            open.pop_back();
          }
          break;
        case 2: {
          // Only positions after the last release behind the window may be taken back.
          const std::uint32_t back = std::min(below(4), s.pages.length());
          const std::uint32_t length = s.pages.length() - back;
          const bool gone = length > 0 && s.pages.sliding()[(length - 1) / kPage] == kNoPage;
          if (!gone && length + 1 > kWindow && back > 0) {
            const std::uint32_t first = (length + 1 - kWindow) / kPage;
            if (s.pages.sliding()[first] == kNoPage) break;
          }
          if (gone) break;
          s.pages.truncate(pools, length);
          s.written.resize(length);
          break;
        }
        case 3:
          s.pages.release_behind_window(pools);
          break;
        default:
          write(s, 1 + below(7));
      }
      // All sequences: a mistake may show in another than the one it was made in.
      if (step % 10 != 0) continue;
      for (const Sequence& each : open) {
        check(each);
        if (HasFatalFailure()) FAIL() << "seed " << seed << ", step " << step;
      }
    }
    EXPECT_GT(n_refused, 0u) << "the walk never met an empty pool";
    for (Sequence& s : open) s.pages.release(pools);
    EXPECT_EQ(pools.sliding.n_free(), kSliding);
    EXPECT_EQ(pools.full.n_free(), kFull);
  }
}

}  // namespace
}  // namespace preflight::kv
