#include "engine/text/tokenizer_tables.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

#include <fmt/format.h>

#include "engine/text/utf8.h"

namespace preflight::text {
namespace {

/// The added tokens of Gemma 4. They are special whatever type a file gives them: files differ.
constexpr std::string_view kAlwaysSpecial[] = {"<pad>",
                                               "<eos>",
                                               "<bos>",
                                               "<unk>",
                                               "<mask>",
                                               "<|tool>",
                                               "<tool|>",
                                               "<|tool_call>",
                                               "<tool_call|>",
                                               "<|tool_response>",
                                               "<tool_response|>",
                                               "<|\"|>",
                                               "<|think|>",
                                               "<|channel>",
                                               "<channel|>",
                                               "<|turn>",
                                               "<turn|>",
                                               "<|image>",
                                               "<|audio>",
                                               "<|image|>",
                                               "<|audio|>",
                                               "<image|>",
                                               "<audio|>",
                                               "<|video|>"};

// Some published files have no name at this place, though the model knows the token. Its neighbour
// tells that the vocabulary is that one and not another of the same size.
constexpr std::string_view kVideoToken = "<|video|>";
constexpr std::size_t kPublishedVocabulary = 262144;
constexpr std::size_t kPublishedVideoId = 258884;
constexpr std::size_t kPublishedAudioId = 258881;

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 32;
  x *= 0x9E3779B97F4A7C15ULL;
  x ^= x >> 29;
  return x;
}

std::uint64_t hash(std::string_view text) { return mix(std::hash<std::string_view>{}(text)); }

std::uint64_t hash(std::int32_t left, std::int32_t right) {
  return mix((static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) |
             static_cast<std::uint32_t>(right));
}

Result<void> check_shape(const TokenizerData& data) {
  if (data.tokens.empty()) {
    return fail(ErrorCode::kInvalidInput, "the vocabulary is empty");
  }
  if (data.tokens.size() > kMostTokens) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the vocabulary has {} tokens, at most {} are read", data.tokens.size(),
                            kMostTokens));
  }
  if (data.kinds.size() != data.tokens.size()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the vocabulary has {} tokens but {} token types", data.tokens.size(),
                            data.kinds.size()));
  }
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (!is_well_formed(data.tokens[id])) {
      return fail(ErrorCode::kInvalidInput, fmt::format("token {} is not valid UTF-8", id));
    }
  }
  return {};
}

Result<std::array<std::int32_t, 256>> find_bytes(const SpellingTable& spellings,
                                                 const std::vector<TokenKind>& kinds) {
  std::array<std::int32_t, 256> ids{};
  ids.fill(kNoToken);
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i] != TokenKind::kByte) continue;
    const auto id = static_cast<std::int32_t>(i);
    const std::optional<std::uint8_t> value = byte_value(spellings.spelling(id));
    if (!value) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("token {} has the type of a byte but is spelled '{}', expected the "
                              "form <0x0A>",
                              id, spellings.spelling(id)));
    }
    ids[*value] = id;
  }
  for (std::size_t byte = 0; byte < ids.size(); ++byte) {
    if (ids[byte] == kNoToken) {
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("the vocabulary has no byte token <0x{:02X}>", byte));
    }
  }
  return ids;
}

Result<MergeTable> build_merges(const SpellingTable& spellings, const std::vector<TokenKind>& kinds,
                                const std::vector<std::pair<std::string, std::string>>& merges) {
  if (merges.size() > std::numeric_limits<std::uint32_t>::max() / 4) {
    return fail(ErrorCode::kInvalidInput, fmt::format("{} merges are too many", merges.size()));
  }
  MergeTable table(merges.size());
  std::string whole;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const auto& [left, right] = merges[rank];
    whole.assign(left).append(right);
    const std::int32_t left_id = spellings.find(left);
    const std::int32_t right_id = spellings.find(right);
    const std::int32_t whole_id = spellings.find(whole);
    if (left_id == kNoToken || right_id == kNoToken || whole_id == kNoToken) {
      const std::string& missing =
          left_id == kNoToken ? left : (right_id == kNoToken ? right : whole);
      return fail(ErrorCode::kInvalidInput,
                  fmt::format("merge {} ('{}' and '{}') needs '{}', which is not in the vocabulary",
                              rank, left, right, missing));
    }
    // Trusted text never holds a special token's spelling when it comes here, so such a merge can
    // only serve to forge one out of untrusted text.
    if (kinds[static_cast<std::size_t>(whole_id)] == TokenKind::kSpecial) continue;
    table.insert(left_id, right_id, Merge{static_cast<std::uint32_t>(rank), whole_id});
  }
  return table;
}

}  // namespace

std::optional<std::uint8_t> byte_value(std::string_view spelling) {
  if (spelling.size() != 6 || !spelling.starts_with("<0x") || spelling.back() != '>') return {};
  unsigned value = 0;
  for (const char c : spelling.substr(3, 2)) {
    value *= 16;
    if (c >= '0' && c <= '9') {
      value += static_cast<unsigned>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      value += static_cast<unsigned>(c - 'A' + 10);
    } else if (c >= 'a' && c <= 'f') {
      value += static_cast<unsigned>(c - 'a' + 10);
    } else {
      return {};
    }
  }
  return static_cast<std::uint8_t>(value);
}

Result<SpellingTable> SpellingTable::create(const std::vector<std::string>& tokens) {
  SpellingTable table;
  std::uint64_t total_bytes = 0;
  for (const std::string& token : tokens) total_bytes += token.size();
  if (total_bytes > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("the vocabulary's spellings take {} bytes", total_bytes));
  }
  table.arena_.reserve(total_bytes);
  table.begin_bytes_.reserve(tokens.size() + 1);
  for (const std::string& token : tokens) {
    table.begin_bytes_.push_back(static_cast<std::uint32_t>(table.arena_.size()));
    table.arena_ += token;
  }
  table.begin_bytes_.push_back(static_cast<std::uint32_t>(table.arena_.size()));

  table.slots_.assign(std::bit_ceil(tokens.size() * 2 + 1), kNoToken);
  const std::size_t mask = table.slots_.size() - 1;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const auto id = static_cast<std::int32_t>(i);
    std::size_t at = hash(std::string_view(tokens[i])) & mask;
    while (table.slots_[at] != kNoToken) {
      if (table.spelling(table.slots_[at]) == tokens[i]) {
        return fail(ErrorCode::kInvalidInput, fmt::format("tokens {} and {} are both spelled '{}'",
                                                          table.slots_[at], id, tokens[i]));
      }
      at = (at + 1) & mask;
    }
    table.slots_[at] = id;
  }
  return table;
}

std::string_view SpellingTable::spelling(std::int32_t id) const {
  const auto i = static_cast<std::size_t>(id);
  return std::string_view(arena_).substr(begin_bytes_[i], begin_bytes_[i + 1] - begin_bytes_[i]);
}

std::int32_t SpellingTable::find(std::string_view wanted) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash(wanted) & mask; slots_[at] != kNoToken; at = (at + 1) & mask) {
    if (spelling(slots_[at]) == wanted) return slots_[at];
  }
  return kNoToken;
}

MergeTable::MergeTable(std::size_t n_merges) : slots_(std::bit_ceil(n_merges * 3 / 2 + 1)) {}

void MergeTable::insert(std::int32_t left, std::int32_t right, Merge merge) {
  const std::size_t mask = slots_.size() - 1;
  std::size_t at = hash(left, right) & mask;
  while (slots_[at].left != kNoToken) {
    if (slots_[at].left == left && slots_[at].right == right) return;
    at = (at + 1) & mask;
  }
  slots_[at] = Slot{left, right, merge};
}

const Merge* MergeTable::find(std::int32_t left, std::int32_t right) const {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash(left, right) & mask; slots_[at].left != kNoToken;
       at = (at + 1) & mask) {
    if (slots_[at].left == left && slots_[at].right == right) return &slots_[at].merge;
  }
  return nullptr;
}

void SpecialMatcher::add(std::string_view spelling, std::int32_t id) {
  if (spelling.empty()) return;  // would match everywhere
  starts_[static_cast<std::uint8_t>(spelling.front())] = true;
  std::uint32_t at = 0;
  for (const char c : spelling) {
    const auto& children = nodes_[at].children;
    const auto known = std::find_if(children.begin(), children.end(),
                                    [c](const auto& child) { return child.first == c; });
    if (known != children.end()) {
      at = known->second;
      continue;
    }
    const auto fresh = static_cast<std::uint32_t>(nodes_.size());
    nodes_[at].children.emplace_back(c, fresh);
    nodes_.emplace_back();
    at = fresh;
  }
  nodes_[at].id = id;
}

std::optional<SpecialMatcher::Match> SpecialMatcher::next(std::string_view text,
                                                          std::size_t from_bytes) const {
  for (std::size_t begin = from_bytes; begin < text.size(); ++begin) {
    if (!starts_[static_cast<std::uint8_t>(text[begin])]) continue;
    std::optional<Match> longest;
    std::uint32_t at = 0;
    for (std::size_t i = begin; i < text.size(); ++i) {
      const auto& children = nodes_[at].children;
      const auto child =
          std::find_if(children.begin(), children.end(),
                       [c = text[i]](const auto& entry) { return entry.first == c; });
      if (child == children.end()) break;
      at = child->second;
      if (nodes_[at].id != kNoToken) longest = Match{begin, i + 1 - begin, nodes_[at].id};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

Result<TokenizerTables> build_tables(TokenizerData data) {
  PREFLIGHT_TRY_VOID(check_shape(data));
  if (data.tokens.size() == kPublishedVocabulary && data.tokens[kPublishedAudioId] == "<|audio|>" &&
      std::find(data.tokens.begin(), data.tokens.end(), kVideoToken) == data.tokens.end()) {
    data.tokens[kPublishedVideoId] = kVideoToken;
  }
  PREFLIGHT_TRY(SpellingTable spellings, SpellingTable::create(data.tokens));
  for (const std::string_view name : kAlwaysSpecial) {
    const std::int32_t id = spellings.find(name);
    if (id != kNoToken) data.kinds[static_cast<std::size_t>(id)] = TokenKind::kSpecial;
  }
  PREFLIGHT_TRY(const auto byte_ids, find_bytes(spellings, data.kinds));
  PREFLIGHT_TRY(MergeTable merges, build_merges(spellings, data.kinds, data.merges));

  SpecialMatcher specials;
  std::array<std::int32_t, 128> ascii_ids{};
  for (std::size_t c = 0; c < ascii_ids.size(); ++c) {
    const char text = static_cast<char>(c);
    const std::int32_t id = spellings.find(std::string_view(&text, 1));
    const bool inert =
        id != kNoToken && data.kinds[static_cast<std::size_t>(id)] != TokenKind::kSpecial;
    ascii_ids[c] = inert ? id : kNoToken;
  }
  for (std::size_t i = 0; i < data.kinds.size(); ++i) {
    if (data.kinds[i] == TokenKind::kSpecial)
      specials.add(data.tokens[i], static_cast<std::int32_t>(i));
  }
  return TokenizerTables{std::move(spellings),
                         std::move(data.kinds),
                         std::move(merges),
                         std::move(specials),
                         byte_ids,
                         ascii_ids};
}

}  // namespace preflight::text
