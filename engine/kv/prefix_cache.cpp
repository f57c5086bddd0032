#include "engine/kv/prefix_cache.h"

#include <algorithm>

namespace preflight::kv {
namespace {

/// How many keys both begin with.
std::uint32_t common_length(std::span<const PositionKey> a, std::span<const PositionKey> b) {
  const auto differ = std::ranges::mismatch(
      a, b, [](const PositionKey& x, const PositionKey& y) { return x == y && !x.unknown(); });
  return static_cast<std::uint32_t>(differ.in1 - a.begin());
}

/// The longest part of the first `length` keys that no vision block reaches out of.
std::uint32_t outside_blocks(std::span<const PositionKey> keys, std::uint32_t length) {
  while (length > 0 && keys[length - 1].reach != 0) length--;
  return length;
}

}  // namespace

/// Marks bookmarks that are wholly beginnings of `keys` as used, the shortest last: what many
/// sequences begin with outlives what only some go on with.
void PrefixCache::use_all_within(std::span<const PositionKey> keys) {
  std::vector<Bookmark*> within;
  for (Bookmark& bookmark : bookmarks_)
    if (common_length(bookmark.keys, keys) == bookmark.keys.size()) within.push_back(&bookmark);
  std::ranges::sort(within, std::greater(), [](const Bookmark* b) { return b->keys.size(); });
  for (Bookmark* bookmark : within) bookmark->last_use = ++clock_;
}

SequencePages PrefixCache::find(Pools& pools, std::span<const PositionKey> keys) {
  Bookmark* best = nullptr;
  std::uint32_t best_length = 0;
  for (Bookmark& bookmark : bookmarks_) {
    const std::uint32_t length = outside_blocks(bookmark.keys, common_length(bookmark.keys, keys));
    const bool better = length > best_length || (best != nullptr && length == best_length &&
                                                 bookmark.last_use > best->last_use);
    if (!better || !bookmark.pages.holds_window(pools, length)) continue;
    best = &bookmark;
    best_length = length;
  }
  if (best == nullptr) return {};
  best->last_use = ++clock_;
  use_all_within(keys);
  SequencePages found = best->pages.fork(pools);
  found.truncate(pools, best_length);
  return found;
}

void PrefixCache::put(Pools& pools, std::span<const PositionKey> keys, const SequencePages& pages) {
  PREFLIGHT_ASSERT(keys.size() == pages.length());
  if (max_bookmarks_ == 0 || keys.empty() || common_length(keys, keys) != keys.size()) return;
  const auto same = std::ranges::find_if(
      bookmarks_, [&](const Bookmark& b) { return std::ranges::equal(b.keys, keys); });
  if (same == bookmarks_.end()) {
    if (bookmarks_.size() == max_bookmarks_) give_up_oldest(pools);
    bookmarks_.push_back({{keys.begin(), keys.end()}, pages.fork(pools), 0});
    bookmarks_.back().pages.release_behind_window(pools);
  }
  use_all_within(keys);
}

bool PrefixCache::give_up_oldest(Pools& pools) {
  const auto oldest = std::ranges::min_element(bookmarks_, {}, &Bookmark::last_use);
  if (oldest == bookmarks_.end()) return false;
  oldest->pages.release(pools);
  bookmarks_.erase(oldest);
  return true;
}

}  // namespace preflight::kv
