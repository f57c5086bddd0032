#pragma once

#include <cstdint>
#include <vector>

#include "engine/kv/page_pool.h"
#include "vk/error.h"

namespace preflight::kv {

/// The two pools of a model: sliding layers give pages back behind their window, full layers keep
/// them all.
struct Pools {
  PagePool sliding;
  PagePool full;
  std::uint32_t page_tokens;     ///< positions in a page
  std::uint32_t sliding_window;  ///< positions a sliding layer sees, the row's own included
};

/// Content of a page that a sequence is about to write but shares: copy before the step.
struct PageCopy {
  bool full;  ///< of the full layers' pool
  PageId from;
  PageId to;
};

/// The cache of one sequence: pages by position / page_tokens. Forks share pages; a shared page is
/// copied when it is written. Every page is given back by release() and by no destructor, because
/// the pools are the engine's.
class SequencePages {
 public:
  /// Positions stored so far.
  [[nodiscard]] std::uint32_t length() const { return length_; }
  /// kNoPage where a page was given back behind the window.
  [[nodiscard]] const std::vector<PageId>& sliding() const { return sliding_; }
  [[nodiscard]] const std::vector<PageId>& full() const { return full_; }

  /// Makes positions [length, length + n) writable and counts them as stored. The copies must run
  /// on the device before anything is written. Errors: kLimit when a pool has too few pages;
  /// nothing has changed then.
  [[nodiscard]] Result<std::vector<PageCopy>> extend(Pools& pools, std::uint32_t n);
  /// Takes positions from `length` on back, with their pages: a step that was not run, or drafts
  /// that were not accepted. `length` <= length(), and not before the positions that
  /// release_behind_window() was last told: what those saw is gone.
  void truncate(Pools& pools, std::uint32_t length);
  /// Whether the sliding pages that a row at `length` <= length() sees are still there.
  [[nodiscard]] bool holds_window(const Pools& pools, std::uint32_t length) const;
  /// Gives back sliding pages that no row from position length() on can see.
  void release_behind_window(Pools& pools);
  [[nodiscard]] SequencePages fork(Pools& pools) const;
  void release(Pools& pools);

 private:
  std::uint32_t length_ = 0;
  std::vector<PageId> sliding_;
  std::vector<PageId> full_;
};

}  // namespace preflight::kv
