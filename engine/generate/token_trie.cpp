#include "engine/generate/token_trie.h"

#include <algorithm>

#include "vk/error.h"

namespace preflight::generate {

TokenTrie::TokenTrie(std::vector<Entry> entries) {
  // Sorted bytes are the order of a depth-first walk: each entry opens the nodes in which it
  // differs from the one before.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.bytes != b.bytes ? a.bytes < b.bytes : a.id < b.id;
  });
  std::vector<std::uint32_t> path;  // nodes from the first byte to the entry before
  const auto close_to = [&](std::size_t depth) {
    while (path.size() > depth) {
      nodes_[path.back()].subtree_end = static_cast<std::uint32_t>(nodes_.size());
      path.pop_back();
    }
  };
  std::string_view before;
  for (const Entry& entry : entries) {
    PREFLIGHT_ASSERT(!entry.bytes.empty() && entry.bytes.size() <= kLongestBytes);
    const auto [at, unused] =
        std::mismatch(before.begin(), before.end(), entry.bytes.begin(), entry.bytes.end());
    close_to(static_cast<std::size_t>(at - before.begin()));
    for (std::size_t i = path.size(); i < entry.bytes.size(); ++i) {
      path.push_back(static_cast<std::uint32_t>(nodes_.size()));
      nodes_.push_back(Node{.subtree_end = 0,
                            .token_begin = static_cast<std::uint32_t>(tokens_.size()),
                            .token_count = 0,
                            .depth = static_cast<std::uint16_t>(i + 1),
                            .byte = static_cast<std::uint8_t>(entry.bytes[i]),
                            .ends = false});
    }
    Node& last = nodes_[path.back()];
    last.ends = true;
    if (entry.id >= 0) {
      PREFLIGHT_ASSERT(last.token_count < 0xFFFF);
      ++last.token_count;
      tokens_.push_back(entry.id);
    }
    longest_bytes_ = std::max(longest_bytes_, entry.bytes.size());
    before = entry.bytes;
  }
  close_to(0);
}

std::uint32_t TokenTrie::child(std::uint32_t node, std::uint8_t byte) const {
  std::uint32_t at = node == kRoot ? 0 : node + 1;
  const std::uint32_t end =
      node == kRoot ? static_cast<std::uint32_t>(nodes_.size()) : nodes_[node].subtree_end;
  while (at < end && nodes_[at].byte < byte) at = nodes_[at].subtree_end;
  return at < end && nodes_[at].byte == byte ? at : kNone;
}

}  // namespace preflight::generate
