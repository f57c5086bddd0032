#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/generate/token_trie.h"
#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::generate {

/// A tokenizer's tokens sorted by their bytes, as constraints need them. Built once for a model
/// and shared by every Schema; immutable, so any thread may read it.
///
/// Usable in an answer is every normal or byte token that is not suppressed and holds no byte below
/// U+0020: JSON text without free white space never has one.
class Vocabulary {
 public:
  /// `suppressed`: ids that the model may never produce.
  /// `n_ids`: length of a row of the model's logits. A model may have ids that its tokenizer has no
  /// token for; they are not usable. 0: as many as the tokenizer has tokens, never fewer.
  /// kInvalidInput: a suppressed id outside the vocabulary; a token longer than
  /// TokenTrie::kLongestBytes.
  static Result<std::shared_ptr<const Vocabulary>> build(const text::Tokenizer& tokenizer,
                                                         std::span<const std::int32_t> suppressed,
                                                         std::size_t n_ids = 0);

  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  /// Number of ids, and so of bits in a mask.
  std::size_t size() const { return offsets_.size() - 1; }
  /// 32-bit words of a mask.
  std::size_t mask_words() const { return (size() + 31) / 32; }
  /// A byte that JSON text may need and that no usable token has for itself alone: a constraint
  /// could come to a place with no way on, so no schema compiles. Free text does without.
  std::optional<std::uint8_t> lacking_byte() const { return lacking_byte_; }
  /// Bytes of the longest token: no token can pass more of an answer at once.
  std::size_t longest_token_bytes() const { return all_.longest_bytes(); }

  /// Every token of text; those that are not usable have no id in it.
  const TokenTrie& all() const { return all_; }
  /// The usable tokens that are not plain: with a quote, a backslash, a control character or a
  /// part of a character.
  const TokenTrie& not_plain() const { return not_plain_; }
  /// The usable plain tokens (whole characters that may stand in a JSON string as they are) of at
  /// most `n_chars` characters: mask_words() words, bit id % 32 of word id / 32.
  std::span<const std::uint32_t> plain_mask(std::size_t n_chars) const;

  /// The bytes of a usable token; empty for any other id.
  std::string_view token_bytes(std::int32_t id) const;

 private:
  explicit Vocabulary(text::Tokenizer tokenizer) : tokenizer_(std::move(tokenizer)) {}
  void fill_plain_masks(std::span<const std::uint16_t> plain_chars);

  text::Tokenizer tokenizer_;
  std::string bytes_;                   // of all usable tokens, one after another
  std::vector<std::uint32_t> offsets_;  // id -> its begin in bytes_; one more at the end
  std::optional<std::uint8_t> lacking_byte_;
  TokenTrie all_;
  TokenTrie not_plain_;
  std::vector<std::uint32_t> plain_masks_;  // [characters of the longest plain token + 1][words]
};

}  // namespace preflight::generate
