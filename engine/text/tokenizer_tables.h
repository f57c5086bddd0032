#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/tokenizer.h"
#include "vk/error.h"

namespace preflight::text {

constexpr std::int32_t kNoToken = -1;
constexpr std::size_t kMostTokens = 1U << 24;
/// U+2581, how the vocabulary spells a space.
constexpr std::string_view kMarkedSpace = "\xE2\x96\x81";

/// Every spelling of the vocabulary in one block, found by id and by text. An open-addressing table
/// of ids: the spellings are not stored twice.
class SpellingTable {
 public:
  /// At most 2^31 - 1 tokens and 4 GiB of spellings; a spelling that stands twice is refused.
  static Result<SpellingTable> create(const std::vector<std::string>& tokens);

  std::size_t size() const { return begin_bytes_.size() - 1; }
  std::string_view spelling(std::int32_t id) const;
  std::int32_t find(std::string_view spelling) const;  ///< kNoToken if absent

 private:
  std::string arena_;
  std::vector<std::uint32_t> begin_bytes_;  // [size + 1]
  std::vector<std::int32_t> slots_;         // power of two, at most half full
};

/// What joining two neighbouring symbols gives.
struct Merge {
  std::uint32_t rank = 0;
  std::int32_t joined = kNoToken;
};

/// (left id, right id) -> Merge, open addressing.
class MergeTable {
 public:
  explicit MergeTable(std::size_t n_merges);
  /// The first rank of a pair stays.
  void insert(std::int32_t left, std::int32_t right, Merge merge);
  const Merge* find(std::int32_t left, std::int32_t right) const;

 private:
  struct Slot {
    std::int32_t left = kNoToken;
    std::int32_t right = kNoToken;
    Merge merge;
  };
  std::vector<Slot> slots_;
};

/// Finds the special tokens of a text: leftmost first, at one place the longest.
class SpecialMatcher {
 public:
  void add(std::string_view spelling, std::int32_t id);

  struct Match {
    std::size_t begin_bytes = 0;
    std::size_t length_bytes = 0;
    std::int32_t id = kNoToken;
  };
  std::optional<Match> next(std::string_view text, std::size_t from_bytes) const;

 private:
  struct Node {
    std::vector<std::pair<char, std::uint32_t>> children;
    std::int32_t id = kNoToken;
  };
  std::vector<Node> nodes_ = std::vector<Node>(1);
  std::array<bool, 256> starts_{};
};

struct TokenizerTables {
  SpellingTable spellings;
  std::vector<TokenKind> kinds;
  MergeTable merges;
  SpecialMatcher specials;
  std::array<std::int32_t, 256> byte_ids{};
  std::array<std::int32_t, 128> ascii_ids{};  ///< one-character tokens that text may become
};

/// The value of a byte token's spelling, "<0x0A>", else nothing.
std::optional<std::uint8_t> byte_value(std::string_view spelling);

/// Checks the data and builds everything above (docs/text.md).
Result<TokenizerTables> build_tables(TokenizerData data);

}  // namespace preflight::text
