#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vk/error.h"

namespace preflight::text {

/// What a vocabulary entry is. kSpecial: an added token, matched verbatim in trusted text
/// (GGUF types 3 and 4; `added_tokens` of a tokenizer.json).
enum class TokenKind : std::uint8_t { kNormal, kByte, kSpecial, kUnknown, kUnused };

/// A vocabulary as a model file states it, before any check.
struct TokenizerData {
  std::vector<std::string> tokens;  ///< id -> spelling (U+2581 for a space, "<0x0A>" for a byte)
  std::vector<TokenKind> kinds;     ///< one per token
  std::vector<std::pair<std::string, std::string>> merges;  ///< in rank order, rank 0 first
};

/// A stretch of a prompt. Special tokens are recognised in trusted segments only, so text from a
/// user can spell `<turn|>` without closing a turn (docs/text.md).
struct Segment {
  std::string text;
  bool trusted = false;

  bool operator==(const Segment&) const = default;
};

/// The longest text encode() takes. A caller with a longer one must refuse it first.
constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

struct TokenizerTables;

/// Byte-pair encoding with byte fallback, as Gemma 4 uses it (docs/text.md). Immutable after
/// create(); copies share the tables, and every member function may be called from any thread.
class Tokenizer {
 public:
  /// Checks the data and builds the tables. kInvalidInput names the first entry that cannot be
  /// right: lists of different length, a spelling that stands twice, a merge whose parts or whole
  /// are no entries, a missing byte token.
  static Result<Tokenizer> create(TokenizerData data);

  /// Token ids of `text`, without a begin token. Special tokens spelled in it become their ids if
  /// `parse_special`, else they are ordinary text. Ill-formed UTF-8 is read as U+FFFD, one per
  /// maximal subpart.
  std::vector<std::int32_t> encode(std::string_view text, bool parse_special) const;

  /// Token ids of the segments as one text: neighbouring stretches are joined before merging, so
  /// the ids do not depend on where the borders lie unless an untrusted segment spells a special
  /// token.
  std::vector<std::int32_t> encode(std::span<const Segment> segments) const;

  /// Text of the ids, always well-formed UTF-8: a byte that belongs to no character becomes U+FFFD.
  /// Special tokens are spelled out if `keep_special`, else left out. Ids outside the vocabulary
  /// contribute nothing.
  std::string decode(std::span<const std::int32_t> ids, bool keep_special) const;

  /// The raw bytes one token contributes: a normal token's text with U+2581 as a space, a byte
  /// token's byte, a special token's spelling. Empty for an id outside the vocabulary.
  std::string token_bytes(std::int32_t id) const;

  /// kUnused for an id outside the vocabulary.
  TokenKind kind(std::int32_t id) const;

  /// The id of exactly this vocabulary spelling (U+2581 for spaces), specials included.
  std::optional<std::int32_t> find(std::string_view spelling) const;

  std::size_t vocab_size() const;

 private:
  explicit Tokenizer(std::shared_ptr<const TokenizerTables> tables);

  std::shared_ptr<const TokenizerTables> tables_;
};

}  // namespace preflight::text
