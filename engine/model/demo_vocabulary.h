#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "vk/error.h"

namespace preflight::model {

/// A vocabulary for models of random weights, in the terms of GGUF metadata.
struct DemoVocabulary {
  std::vector<std::string> tokens;  ///< id -> spelling
  std::vector<std::int32_t>
      types;  ///< 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  std::vector<std::string> merges;  ///< "left right" in rank order
};

/// The size from which the fixed tokens fit; the largest is kPublishedVocabulary.
inline constexpr std::uint32_t kSmallestVocabulary = 512;

/// All special tokens of the published vocabulary (at their published ids when `size` is the
/// published one, from 0 on otherwise), 256 byte tokens, newline and space runs, printable ASCII,
/// and pieces of English made by byte-pair training on share/demo/words.txt. Digits are never
/// merged. Ids left over become distinct unused tokens. The same size gives the same vocabulary.
/// Errors: kInvalidInput when size is out of range.
[[nodiscard]] Result<DemoVocabulary> make_demo_vocabulary(std::uint32_t size);

/// The word list, as built into the program: one word per line, # begins a comment.
[[nodiscard]] const char* demo_words();

}  // namespace preflight::model
