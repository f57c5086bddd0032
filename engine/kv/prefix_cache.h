#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/position_key.h"
#include "engine/kv/sequence_pages.h"

namespace preflight::kv {

/// Beginnings of sequences that outlive them. A bookmark holds the pages of one: of full layers
/// all, of sliding layers those of the window before its end, so that it can be continued exactly.
/// Together the bookmarks are the nodes of a prefix tree, kept as a list: with a few of them,
/// comparing each costs less than any step of the model that it saves.
class PrefixCache {
 public:
  explicit PrefixCache(std::uint32_t max_bookmarks) : max_bookmarks_(max_bookmarks) {}

  /// The pages of the longest cached beginning of `keys` that can be continued, shared with the
  /// cache: length() says how long. A bookmark may be cut, but not inside a vision block, and not
  /// before the window that it has kept.
  [[nodiscard]] SequencePages find(Pools& pools, std::span<const PositionKey> keys);
  /// Keeps a sequence that holds `keys`, in place of the bookmark whose last use is longest ago
  /// where there are max_bookmarks already. keys.size() == pages.length(). A sequence with unknown
  /// soft tokens could not be found again and is not kept.
  void put(Pools& pools, std::span<const PositionKey> keys, const SequencePages& pages);
  /// Lets go of the bookmark whose last use is longest ago; pages that open sequences share stay
  /// theirs. False: there was none.
  bool give_up_oldest(Pools& pools);

  [[nodiscard]] std::uint32_t max_bookmarks() const { return max_bookmarks_; }
  [[nodiscard]] std::size_t n_bookmarks() const { return bookmarks_.size(); }

 private:
  struct Bookmark {
    std::vector<PositionKey> keys;
    SequencePages pages;
    std::uint64_t last_use = 0;
  };
  void use_all_within(std::span<const PositionKey> keys);

  std::uint32_t max_bookmarks_;
  std::vector<Bookmark> bookmarks_;
  std::uint64_t clock_ = 0;
};

}  // namespace preflight::kv
