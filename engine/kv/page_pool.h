#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace preflight::kv {

using PageId = std::uint32_t;
inline constexpr PageId kNoPage = 0xffffffffu;

/// Which pages of a pool are in use, and by how many sequences each. Knows nothing of the memory
/// behind them: a page id is an index into the pool's buffers, the same in every layer of a kind.
class PagePool {
 public:
  explicit PagePool(std::uint32_t n_pages);

  /// A page with one user, or nothing when all are in use.
  [[nodiscard]] std::optional<PageId> take();
  /// One user more.
  void share(PageId page);
  /// One user less; the last one frees the page.
  void give_back(PageId page);

  [[nodiscard]] bool shared(PageId page) const { return users_[page] > 1; }
  [[nodiscard]] std::uint32_t n_free() const { return static_cast<std::uint32_t>(free_.size()); }
  [[nodiscard]] std::uint32_t n_pages() const { return static_cast<std::uint32_t>(users_.size()); }

 private:
  std::vector<std::uint32_t> users_;
  std::vector<PageId> free_;
};

}  // namespace preflight::kv
