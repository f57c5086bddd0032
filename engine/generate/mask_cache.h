#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/generate/automaton.h"
#include "engine/generate/vocabulary.h"

namespace preflight::generate {

using Mask = std::vector<std::uint32_t>;

/// The tokens that may follow at a place, found by one walk over the vocabulary's tree.
Mask compute_mask(const Automaton& automaton, const Vocabulary& vocabulary, const Cursor& cursor);

/// Masks by place, the least recently used given up first. Safe to use from several threads.
class MaskCache {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{8} << 20;

  explicit MaskCache(std::size_t mask_words);

  /// Computes and keeps the mask if it is not there.
  std::shared_ptr<const Mask> find(const Automaton& automaton, const Vocabulary& vocabulary,
                                   const Cursor& cursor);

 private:
  using Entry = std::pair<StateKey, std::shared_ptr<const Mask>>;

  std::size_t max_entries_;
  std::mutex mutex_;
  std::list<Entry> entries_;  // most recently used first
  std::unordered_map<StateKey, std::list<Entry>::iterator, StateKeyHash> by_key_;
};

}  // namespace preflight::generate
