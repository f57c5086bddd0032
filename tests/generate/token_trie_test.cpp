#include "engine/generate/token_trie.h"

#include <map>
#include <string>

#include <gtest/gtest.h>

namespace preflight::generate {
namespace {

TEST(TokenTrie, HoldsEachEntryAtItsBytes) {
  const std::vector<TokenTrie::Entry> entries = {{"b", 5},  {"abc", 1},  {"ab", 2}, {"\xFFz", 7},
                                                 {"ab", 9}, {"abd", -1}, {"a b", 3}};
  const TokenTrie trie(entries);
  std::map<std::string, std::vector<std::int32_t>> found;
  std::string path;
  for (std::uint32_t i = 0; i < trie.nodes().size(); ++i) {
    const TokenTrie::Node& node = trie.nodes()[i];
    path.resize(node.depth - 1u);
    path.push_back(static_cast<char>(node.byte));
    if (!node.ends) {
      EXPECT_EQ(node.token_count, 0u);
      continue;
    }
    const auto ids = trie.tokens().subspan(node.token_begin, node.token_count);
    found[path].assign(ids.begin(), ids.end());
  }
  const std::map<std::string, std::vector<std::int32_t>> expected = {
      {"a b", {3}}, {"ab", {2, 9}}, {"abc", {1}}, {"abd", {}}, {"b", {5}}, {"\xFFz", {7}}};
  EXPECT_EQ(found, expected);
  EXPECT_EQ(trie.longest_bytes(), 3u);

  const std::uint32_t a = trie.child(TokenTrie::kRoot, 'a');
  ASSERT_NE(a, TokenTrie::kNone);
  EXPECT_EQ(trie.child(a, 'c'), TokenTrie::kNone);
  const std::uint32_t ab = trie.child(a, 'b');
  ASSERT_NE(ab, TokenTrie::kNone);
  EXPECT_NE(trie.child(ab, 'd'), TokenTrie::kNone);
  EXPECT_NE(trie.child(TokenTrie::kRoot, 0xFF), TokenTrie::kNone);
  EXPECT_EQ(trie.child(TokenTrie::kRoot, 'z'), TokenTrie::kNone);
}

}  // namespace
}  // namespace preflight::generate
