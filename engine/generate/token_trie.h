#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace preflight::generate {

/// The bytes of many tokens as one tree, laid out in the order of a depth-first walk: the children
/// of a node follow it, and a node knows where its subtree ends. A walk reads memory in order and
/// leaves out a subtree by a jump.
class TokenTrie {
 public:
  struct Node {
    std::uint32_t subtree_end;  ///< index of the first node after this node and all below it
    std::uint32_t token_begin;  ///< the ids that end here: tokens()[token_begin, + token_count)
    std::uint16_t token_count;
    std::uint16_t depth;  ///< 1 for a first byte
    std::uint8_t byte;
    bool ends;  ///< an entry ends here, be it one without an id
  };

  struct Entry {
    std::string_view bytes;  ///< not empty, at most kLongestBytes; may repeat
    std::int32_t id;         ///< negative: the bytes are in the tree, but no id is
  };
  static constexpr std::size_t kLongestBytes = 4096;

  TokenTrie() = default;
  explicit TokenTrie(std::vector<Entry> entries);

  std::span<const Node> nodes() const { return nodes_; }
  std::span<const std::int32_t> tokens() const { return tokens_; }
  std::size_t longest_bytes() const { return longest_bytes_; }

  /// The child of `node` with this byte, or of the root if `node` is kRoot; kNone if there is none.
  static constexpr std::uint32_t kRoot = 0xFFFFFFFF;
  static constexpr std::uint32_t kNone = 0xFFFFFFFE;
  std::uint32_t child(std::uint32_t node, std::uint8_t byte) const;

 private:
  std::vector<Node> nodes_;
  std::vector<std::int32_t> tokens_;
  std::size_t longest_bytes_ = 0;
};

}  // namespace preflight::generate
