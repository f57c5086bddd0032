#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace preflight::model {

/// A word to learn from, as its characters, and how much it counts.
struct TrainingWord {
  std::vector<std::string> symbols;
  std::int64_t weight = 1;
};

/// Byte-pair training: again and again joins the neighbouring pair that counts most (of equals the
/// one that sorts first) in all words, and hands it to `accept`, which ends the training by
/// returning false. Pairs that stand in one place only are joined too: a small list of words
/// becomes whole words.
void train_bpe(
    std::vector<TrainingWord> words,
    const std::function<bool(const std::string& left, const std::string& right)>& accept);

}  // namespace preflight::model
