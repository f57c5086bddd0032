#include "engine/kv/page_pool.h"

#include "vk/error.h"

namespace preflight::kv {

PagePool::PagePool(std::uint32_t n_pages) : users_(n_pages, 0) {
  free_.reserve(n_pages);
  for (std::uint32_t page = n_pages; page > 0; page--) free_.push_back(page - 1);
}

std::optional<PageId> PagePool::take() {
  if (free_.empty()) return std::nullopt;
  const PageId page = free_.back();
  free_.pop_back();
  users_[page] = 1;
  return page;
}

void PagePool::share(PageId page) {
  PREFLIGHT_ASSERT(users_.at(page) > 0);
  users_[page]++;
}

void PagePool::give_back(PageId page) {
  PREFLIGHT_ASSERT(users_.at(page) > 0);
  if (--users_[page] == 0) free_.push_back(page);
}

}  // namespace preflight::kv
