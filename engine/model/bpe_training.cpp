#include "engine/model/bpe_training.h"

#include <algorithm>
#include <map>
#include <set>

namespace preflight::model {
namespace {

using Pair = std::pair<std::string, std::string>;

struct PairUse {
  std::int64_t count = 0;
  std::set<std::size_t> words;  ///< that held the pair at some time
};

}  // namespace

void train_bpe(std::vector<TrainingWord> words,
               const std::function<bool(const std::string&, const std::string&)>& accept) {
  std::map<Pair, PairUse> pairs;
  // Ordered by count, largest first, then by the pair itself.
  std::set<std::pair<std::int64_t, Pair>> queue;
  const auto change = [&](std::size_t word, const Pair& pair, std::int64_t by) {
    PairUse& use = pairs[pair];
    queue.erase({-use.count, pair});
    use.count += by;
    use.words.insert(word);
    if (use.count > 0) queue.insert({-use.count, pair});
  };
  const auto count_word = [&](std::size_t w, std::int64_t sign) {
    const TrainingWord& word = words[w];
    for (std::size_t i = 0; i + 1 < word.symbols.size(); ++i)
      change(w, {word.symbols[i], word.symbols[i + 1]}, sign * word.weight);
  };
  for (std::size_t w = 0; w < words.size(); ++w) count_word(w, 1);

  while (!queue.empty()) {
    const Pair best = queue.begin()->second;
    if (!accept(best.first, best.second)) return;
    const std::set<std::size_t> touched = pairs[best].words;
    for (const std::size_t w : touched) {
      count_word(w, -1);
      std::vector<std::string> joined;
      const std::vector<std::string>& symbols = words[w].symbols;
      for (std::size_t i = 0; i < symbols.size(); ++i) {
        if (i + 1 < symbols.size() && symbols[i] == best.first && symbols[i + 1] == best.second) {
          joined.push_back(best.first + best.second);
          ++i;
        } else {
          joined.push_back(symbols[i]);
        }
      }
      words[w].symbols = std::move(joined);
      count_word(w, 1);
    }
  }
}

}  // namespace preflight::model
