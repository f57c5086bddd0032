#include "engine/kv/sequence_pages.h"

#include <fmt/format.h>

namespace preflight::kv {
namespace {

/// The last page of `table` is shared and will be written: it must be copied.
bool must_copy_last(const std::vector<PageId>& table, const PagePool& pool, std::uint32_t length,
                    std::uint32_t page_tokens) {
  return length % page_tokens != 0 && pool.shared(table.back());
}

/// The oldest position that a row at `length` sees on a sliding layer: keys j > length - window.
std::uint32_t first_visible(const Pools& pools, std::uint32_t length) {
  return length < pools.sliding_window ? 0 : length + 1 - pools.sliding_window;
}

/// Extends one table by the pages that extend() has counted and knows to be free.
void extend_table(std::vector<PageId>& table, PagePool& pool, bool full, bool copy_last,
                  std::uint32_t n_new, std::vector<PageCopy>& copies) {
  if (copy_last) {
    const PageId copy = *pool.take();
    copies.push_back({full, table.back(), copy});
    pool.give_back(table.back());
    table.back() = copy;
  }
  for (std::uint32_t i = 0; i < n_new; i++) table.push_back(*pool.take());
}

}  // namespace

Result<std::vector<PageCopy>> SequencePages::extend(Pools& pools, std::uint32_t n) {
  std::vector<PageCopy> copies;
  if (n == 0) return copies;

  const std::uint32_t n_pages = (length_ + n + pools.page_tokens - 1) / pools.page_tokens;
  const auto n_new = n_pages - static_cast<std::uint32_t>(full_.size());
  const bool copy_sliding = must_copy_last(sliding_, pools.sliding, length_, pools.page_tokens);
  const bool copy_full = must_copy_last(full_, pools.full, length_, pools.page_tokens);
  const auto check = [&](const PagePool& pool, bool copy, const char* kind) -> Result<void> {
    const std::uint32_t need = n_new + (copy ? 1 : 0);
    if (need <= pool.n_free()) return {};
    return fail(ErrorCode::kLimit,
                fmt::format("no room in the KV cache of the {} layers: {} more positions need {} "
                            "pages of {}, {} of {} are free; a larger context is needed",
                            kind, n, need, pools.page_tokens, pool.n_free(), pool.n_pages()));
  };
  PREFLIGHT_TRY_VOID(check(pools.sliding, copy_sliding, "sliding"));
  PREFLIGHT_TRY_VOID(check(pools.full, copy_full, "full"));

  extend_table(sliding_, pools.sliding, /*full=*/false, copy_sliding, n_new, copies);
  extend_table(full_, pools.full, /*full=*/true, copy_full, n_new, copies);
  length_ += n;
  return copies;
}

void SequencePages::truncate(Pools& pools, std::uint32_t length) {
  PREFLIGHT_ASSERT(length <= length_);
  const std::size_t n_pages = (length + pools.page_tokens - 1) / pools.page_tokens;
  while (full_.size() > n_pages) {
    pools.full.give_back(full_.back());
    full_.pop_back();
    if (sliding_.back() != kNoPage) pools.sliding.give_back(sliding_.back());
    sliding_.pop_back();
  }
  length_ = length;
  // The next row must find its window: pages given back behind it cannot come again.
  PREFLIGHT_ASSERT(holds_window(pools, length));
}

bool SequencePages::holds_window(const Pools& pools, std::uint32_t length) const {
  const std::size_t first_page = first_visible(pools, length) / pools.page_tokens;
  return first_page >= sliding_.size() || sliding_[first_page] != kNoPage;
}

void SequencePages::release_behind_window(Pools& pools) {
  for (std::uint32_t page = first_visible(pools, length_) / pools.page_tokens; page > 0; page--) {
    PageId& id = sliding_[page - 1];
    if (id == kNoPage) break;  // everything before it went earlier
    pools.sliding.give_back(id);
    id = kNoPage;
  }
}

SequencePages SequencePages::fork(Pools& pools) const {
  for (const PageId page : sliding_)
    if (page != kNoPage) pools.sliding.share(page);
  for (const PageId page : full_) pools.full.share(page);
  return *this;
}

void SequencePages::release(Pools& pools) {
  for (const PageId page : sliding_)
    if (page != kNoPage) pools.sliding.give_back(page);
  for (const PageId page : full_) pools.full.give_back(page);
  sliding_.clear();
  full_.clear();
  length_ = 0;
}

}  // namespace preflight::kv
