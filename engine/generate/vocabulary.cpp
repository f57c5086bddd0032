#include "engine/generate/vocabulary.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "engine/text/utf8.h"

namespace preflight::generate {
namespace {

// Characters of a token that may stand in a JSON string as it is; 0 if it may not.
std::uint16_t plain_characters(std::string_view bytes) {
  std::uint16_t n_chars = 0;
  while (!bytes.empty()) {
    const text::Utf8Step step = text::next_character(bytes);
    const char32_t c = step.code_point;
    if (!step.well_formed || c < 0x20 || (c >= 0x7F && c < 0xA0) || c == U'"' || c == U'\\') {
      return 0;
    }
    ++n_chars;
    bytes.remove_prefix(step.length_bytes);
  }
  return n_chars;
}

// The bytes that can occur in UTF-8 text without control characters below U+0020.
bool is_answer_byte(unsigned byte) {
  return byte >= 0x20 && byte != 0xC0 && byte != 0xC1 && byte < 0xF5;
}

}  // namespace

Result<std::shared_ptr<const Vocabulary>> Vocabulary::build(
    const text::Tokenizer& tokenizer, std::span<const std::int32_t> suppressed, std::size_t n_ids) {
  const std::size_t n_tokens = std::max(n_ids, tokenizer.vocab_size());
  std::vector<bool> usable(n_tokens, true);
  for (const std::int32_t id : suppressed) {
    if (id < 0 || static_cast<std::size_t>(id) >= n_tokens) {
      return fail(
          ErrorCode::kInvalidInput,
          fmt::format("suppressed token {} is outside the vocabulary of {} tokens", id, n_tokens));
    }
    usable[static_cast<std::size_t>(id)] = false;
  }

  auto vocabulary = std::shared_ptr<Vocabulary>(new Vocabulary(tokenizer));
  std::string unusable_bytes;  // text that only the tokenizer may produce; it still forms borders
  std::vector<std::pair<std::size_t, std::size_t>> unusable_ranges;
  std::vector<std::uint16_t> plain_chars(n_tokens, 0);
  std::array<bool, 256> single{};
  vocabulary->offsets_.reserve(n_tokens + 1);
  for (std::size_t i = 0; i < n_tokens; ++i) {
    vocabulary->offsets_.push_back(static_cast<std::uint32_t>(vocabulary->bytes_.size()));
    const auto id = static_cast<std::int32_t>(i);
    const text::TokenKind kind = tokenizer.kind(id);
    if (kind == text::TokenKind::kSpecial || kind == text::TokenKind::kUnknown) continue;
    const std::string bytes = tokenizer.token_bytes(id);
    if (bytes.empty()) continue;
    if (bytes.size() > TokenTrie::kLongestBytes) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("token {} is {} bytes long, at most {} are expected", id,
                              bytes.size(), TokenTrie::kLongestBytes));
    }
    const bool has_control = std::any_of(
        bytes.begin(), bytes.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; });
    if (has_control) continue;
    if (kind == text::TokenKind::kUnused || !usable[i]) {
      unusable_ranges.emplace_back(unusable_bytes.size(), bytes.size());
      unusable_bytes += bytes;
      continue;
    }
    if (vocabulary->bytes_.size() > std::numeric_limits<std::uint32_t>::max() - bytes.size()) {
      return fail(ErrorCode::kInvalidInput, "the vocabulary's text passes 4 GiB");
    }
    vocabulary->bytes_ += bytes;
    plain_chars[i] = plain_characters(bytes);
    if (bytes.size() == 1) single[static_cast<unsigned char>(bytes[0])] = true;
  }
  vocabulary->offsets_.push_back(static_cast<std::uint32_t>(vocabulary->bytes_.size()));

  for (unsigned byte = 0; byte < 256 && !vocabulary->lacking_byte_; ++byte) {
    if (is_answer_byte(byte) && !single[byte])
      vocabulary->lacking_byte_ = static_cast<std::uint8_t>(byte);
  }

  std::vector<TokenTrie::Entry> all, not_plain;
  all.reserve(n_tokens);
  for (std::size_t i = 0; i < n_tokens; ++i) {
    const auto id = static_cast<std::int32_t>(i);
    const std::string_view bytes = vocabulary->token_bytes(id);
    if (bytes.empty()) continue;
    all.push_back({.bytes = bytes, .id = id});
    if (plain_chars[i] == 0) not_plain.push_back({.bytes = bytes, .id = id});
  }
  for (const auto& [begin, length] : unusable_ranges) {
    all.push_back({.bytes = std::string_view(unusable_bytes).substr(begin, length), .id = -1});
  }
  vocabulary->all_ = TokenTrie(std::move(all));
  vocabulary->not_plain_ = TokenTrie(std::move(not_plain));
  vocabulary->fill_plain_masks(plain_chars);
  return vocabulary;
}

void Vocabulary::fill_plain_masks(std::span<const std::uint16_t> plain_chars) {
  const std::size_t words = mask_words();
  const std::size_t longest = *std::max_element(plain_chars.begin(), plain_chars.end());
  plain_masks_.assign((longest + 1) * words, 0);
  for (std::size_t i = 0; i < plain_chars.size(); ++i) {
    if (plain_chars[i] != 0) plain_masks_[plain_chars[i] * words + i / 32] |= 1u << (i % 32);
  }
  for (std::size_t i = words; i < plain_masks_.size(); ++i)
    plain_masks_[i] |= plain_masks_[i - words];
}

std::span<const std::uint32_t> Vocabulary::plain_mask(std::size_t n_chars) const {
  const std::size_t words = mask_words();
  const std::size_t row = std::min(n_chars, plain_masks_.size() / words - 1);
  return std::span(plain_masks_).subspan(row * words, words);
}

std::string_view Vocabulary::token_bytes(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= size()) return {};
  const auto i = static_cast<std::size_t>(id);
  return std::string_view(bytes_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
}

}  // namespace preflight::generate
