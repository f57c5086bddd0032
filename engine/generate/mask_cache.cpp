#include "engine/generate/mask_cache.h"

#include <algorithm>

namespace preflight::generate {
namespace {

void allow_walked(const Automaton& automaton, const TokenTrie& trie, const Cursor& cursor,
                  Mask& mask) {
  const auto nodes = trie.nodes();
  const auto tokens = trie.tokens();
  std::vector<Cursor> path(trie.longest_bytes() + 1);  // by depth: after that many bytes
  path[0] = cursor;
  std::uint32_t i = 0;
  while (i < nodes.size()) {
    const TokenTrie::Node& node = nodes[i];
    Cursor& here = path[node.depth];
    here = path[node.depth - 1u];
    if (!automaton.step(here, node.byte)) {
      i = node.subtree_end;
      continue;
    }
    if (node.token_count > 0) {
      Cursor ended = here;
      if (automaton.end_token(ended)) {
        for (const std::int32_t id : tokens.subspan(node.token_begin, node.token_count)) {
          mask[static_cast<std::size_t>(id) / 32] |= 1u << (id % 32);
        }
      }
    }
    ++i;
  }
}

}  // namespace

Mask compute_mask(const Automaton& automaton, const Vocabulary& vocabulary, const Cursor& cursor) {
  Mask mask(vocabulary.mask_words(), 0);
  if (automaton.done(cursor)) return mask;
  if (!automaton.takes_plain_text(cursor)) {
    allow_walked(automaton, vocabulary.all(), cursor, mask);
    return mask;
  }
  // Inside a string all that counts of a plain token is its number of characters: a plain token
  // costs one token and brings at least one character, so what the string still needs stays within
  // its tokens. Only the others have to be walked.
  const auto plain = vocabulary.plain_mask(automaton.chars_left(cursor));
  std::copy(plain.begin(), plain.end(), mask.begin());
  allow_walked(automaton, vocabulary.not_plain(), cursor, mask);
  return mask;
}

MaskCache::MaskCache(std::size_t mask_words)
    : max_entries_(std::max<std::size_t>(16, kMaxBytes / (mask_words * sizeof(std::uint32_t)))) {}

std::shared_ptr<const Mask> MaskCache::find(const Automaton& automaton,
                                            const Vocabulary& vocabulary, const Cursor& cursor) {
  const StateKey key = automaton.key(cursor, vocabulary.longest_token_bytes());
  const std::lock_guard lock(mutex_);
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    return known->second->second;
  }
  auto mask = std::make_shared<const Mask>(compute_mask(automaton, vocabulary, cursor));
  if (entries_.size() >= max_entries_) {
    by_key_.erase(entries_.back().first);
    entries_.pop_back();
  }
  entries_.emplace_front(key, mask);
  by_key_.emplace(key, entries_.begin());
  return mask;
}

}  // namespace preflight::generate
