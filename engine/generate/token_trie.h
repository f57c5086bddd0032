#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace preflight::generate {

/// The bytes of many tokens as one tree, laid out in the order of a depth-first walk: the children
/// of a node follow it, and a node knows where its subtree ends. A walk reads memory in order and
/// leaves out a subtree by a jump.
class TokenTrie {
 public:
  struct Node {
    std::uint32_t subtree_end;   ///< index of the first node after this node and all below it
    std::uint32_t token_begin;   ///< tokens that end here: tokens()[token_begin, + token_count)
    std::uint32_t token_count;
    std::uint16_t depth;         ///< 1 for a first byte
    std::uint8_t byte;
  };

  TokenTrie() = default;
  /// `entries`: bytes (not empty, at most 65,535) and id of each token; bytes may repeat.
  explicit TokenTrie(std::vector<std::pair<std::string_view, std::int32_t>> entries);

  std::span<const Node> nodes() const { return nodes_; }
  std::span<const std::int32_t> tokens() const { return tokens_; }
  std::size_t longest_bytes() const { return longest_bytes_; }

 private:
  std::vector<Node> nodes_;
  std::vector<std::int32_t> tokens_;
  std::size_t longest_bytes_ = 0;
};

}  // namespace preflight::generate
