#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "engine/generate/token_trie.h"
#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::generate {

/// A tokenizer's tokens sorted by their bytes, as constraints need them. Built once for a model
/// and shared by every Schema; immutable, so any thread may read it.
///
/// Left out, because no answer may hold them: special, unknown and unused tokens, the suppressed
/// ids, and tokens with a control character (canonical JSON never has one outside an escape).
class Vocabulary {
 public:
  /// `suppressed`: ids that the model may never produce; ids outside the vocabulary are an error,
  /// and so is a vocabulary without a token of its own for one of the bytes that answers need
  /// (both kInvalidInput): a constraint could otherwise reach a place with no way on.
  static Result<std::shared_ptr<const Vocabulary>> build(const text::Tokenizer& tokenizer,
                                                         std::span<const std::int32_t> suppressed);

  const text::Tokenizer& tokenizer() const { return tokenizer_; }
  /// Number of ids, and so of bits in a mask.
  std::size_t size() const { return tokenizer_.vocab_size(); }
  /// 32-bit words of a mask.
  std::size_t mask_words() const { return (size() + 31) / 32; }
  /// Bytes of the longest token; no single token can pass more than this many bytes.
  std::size_t longest_token_bytes() const { return all_.longest_bytes(); }

  /// Every token an answer may use.
  const TokenTrie& all() const { return all_; }
  /// Those that are not plain: they hold a quote, a backslash or a part of a character.
  const TokenTrie& not_plain() const { return not_plain_; }
  /// The plain tokens (whole characters that need no escape in a JSON string) with at most
  /// `n_chars` characters, as a mask of mask_words() words.
  std::span<const std::uint32_t> plain_mask(std::size_t n_chars) const;

  /// The bytes of a token that an answer may use; empty for any other id.
  std::string_view token_bytes(std::int32_t id) const;

 private:
  explicit Vocabulary(const text::Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  text::Tokenizer tokenizer_;
  std::string bytes_;                      // of all tokens, one after another
  std::vector<std::uint32_t> offsets_;     // id -> begin in bytes_; size()+1 entries
  TokenTrie all_;
  TokenTrie not_plain_;
  std::vector<std::uint32_t> plain_masks_;  // [longest plain token in characters + 1][mask_words()]
};

}  // namespace preflight::generate
