#include "engine/generate/literal_trie.h"

#include <algorithm>
#include <utility>

#include "vk/error.h"

namespace preflight::generate {

LiteralTrie::LiteralTrie(std::vector<Literal> literals) : literals_(std::move(literals)) {
  PREFLIGHT_ASSERT(literals_.size() >= 2);
  std::sort(literals_.begin(), literals_.end(),
            [](const Literal& a, const Literal& b) { return a.json < b.json; });
  // The common prefix of sorted texts is that of the first and the last.
  const std::string& first = literals_.front().json;
  const std::string& last = literals_.back().json;
  common_prefix_ = static_cast<std::size_t>(
      std::mismatch(first.begin(), first.end(), last.begin(), last.end()).first - first.begin());

  nodes_.push_back(Node{.literal_end = static_cast<std::uint32_t>(literals_.size())});
  std::vector<std::size_t> depths = {common_prefix_};
  // Breadth first, so that the children of a node lie side by side.
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const std::size_t depth = depths[i];
    std::uint32_t at = nodes_[i].literal_begin;
    const std::uint32_t end = nodes_[i].literal_end;
    if (literals_[at].json.size() == depth) {
      nodes_[i].terminal = true;
      ++at;
    }
    nodes_[i].first_child = static_cast<std::uint32_t>(nodes_.size());
    while (at < end) {
      const char byte = literals_[at].json[depth];
      std::uint32_t next = at;
      while (next < end && literals_[next].json[depth] == byte) ++next;
      nodes_.push_back(
          Node{.literal_begin = at, .literal_end = next, .byte = static_cast<std::uint8_t>(byte)});
      depths.push_back(depth + 1);
      ++nodes_[i].n_children;
      at = next;
    }
  }
}

std::optional<std::uint32_t> LiteralTrie::child(std::uint32_t node, std::uint8_t byte) const {
  const Node& parent = nodes_[node];
  for (std::uint32_t i = 0; i < parent.n_children; ++i) {
    if (nodes_[parent.first_child + i].byte == byte) return parent.first_child + i;
  }
  return std::nullopt;
}

std::size_t LiteralTrie::longest_bytes() const {
  std::size_t longest = 0;
  for (const Literal& literal : literals_) longest = std::max(longest, literal.json.size());
  return longest - common_prefix_;
}

}  // namespace preflight::generate
