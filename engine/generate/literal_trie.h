#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace preflight::generate {

/// One of the literals of an enum, as it is written in an answer.
struct Literal {
  std::string json;              ///< canonical JSON text
  std::size_t schema_index = 0;  ///< its place in the schema's list
};

/// Two or more different literals as a tree of bytes. What all of them begin with is left to the
/// text before the choice.
class LiteralTrie {
 public:
  struct Node {
    std::uint32_t first_child = 0;  ///< children lie side by side, sorted by byte
    std::uint32_t n_children = 0;
    std::uint32_t literal_begin = 0, literal_end = 0;  ///< literals()[begin, end) pass here
    std::uint8_t byte = 0;
    bool terminal = false;  ///< literal_begin ends here (the shortest sorts first)
  };

  explicit LiteralTrie(std::vector<Literal> literals);

  /// Sorted by their bytes.
  const std::vector<Literal>& literals() const { return literals_; }
  /// Bytes that all literals begin with, and that the tree leaves out.
  std::size_t common_prefix() const { return common_prefix_; }
  /// nodes()[0] is the root.
  const std::vector<Node>& nodes() const { return nodes_; }
  std::optional<std::uint32_t> child(std::uint32_t node, std::uint8_t byte) const;
  std::size_t longest_bytes() const;  ///< of the literals without the common prefix

 private:
  std::vector<Literal> literals_;
  std::size_t common_prefix_ = 0;
  std::vector<Node> nodes_;
};

}  // namespace preflight::generate
