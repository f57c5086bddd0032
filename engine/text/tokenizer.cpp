#include "engine/text/tokenizer.h"

#include <limits>
#include <queue>

#include "engine/text/tokenizer_tables.h"
#include "engine/text/utf8.h"

namespace preflight::text {
namespace {

std::string with_marked_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      out += kMarkedSpace;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string with_plain_spaces(std::string_view spelling) {
  std::string out;
  std::size_t from = 0;
  for (std::size_t at = spelling.find(kMarkedSpace); at != std::string_view::npos;
       at = spelling.find(kMarkedSpace, from)) {
    out += spelling.substr(from, at - from);
    out.push_back(' ');
    from = at + kMarkedSpace.size();
  }
  out += spelling.substr(from);
  return out;
}

/// Byte-pair merging of one stretch: a list of symbols and a heap of the joins that are possible.
class Merger {
 public:
  explicit Merger(const TokenizerTables& tables) : tables_(tables) {}

  /// Appends the ids of `text`, which is well-formed UTF-8 without special tokens.
  void encode(std::string_view text, std::vector<std::int32_t>& ids) {
    const std::string marked = with_marked_spaces(text);
    split(marked);
    for (std::uint32_t i = 0; i + 1 < symbols_.size(); ++i) push(i, i + 1);
    while (!joins_.empty()) {
      const Join join = joins_.top();
      joins_.pop();
      apply(join);
    }
    for (std::uint32_t i = 0; i != kEnd; i = symbols_[i].next) emit(symbols_[i], marked, ids);
  }

 private:
  static constexpr std::uint32_t kEnd = std::numeric_limits<std::uint32_t>::max();

  struct Symbol {
    std::int32_t id = kNoToken;     // kNoToken: a character without an entry
    std::uint32_t begin_bytes = 0;  // of its text, which only a lone character needs
    std::uint32_t previous = kEnd;
    std::uint32_t next = kEnd;
  };

  struct Join {
    std::uint32_t rank;
    std::uint32_t left_ix;
    std::int32_t left_id;   // what stood there when the join was noted: anything else now, and
    std::int32_t right_id;  // the note is stale
    std::int32_t joined_id;

    bool operator<(const Join& other) const {  // the heap's top is the lowest rank, then leftmost
      return rank != other.rank ? rank > other.rank : left_ix > other.left_ix;
    }
  };

  void split(std::string_view marked) {
    symbols_.clear();
    symbols_.reserve(marked.size());
    for (std::size_t at = 0; at < marked.size();) {
      const Utf8Step step = next_character(marked.substr(at));
      const auto ix = static_cast<std::uint32_t>(symbols_.size());
      symbols_.push_back(Symbol{character_id(marked.substr(at, step.length_bytes)),
                                static_cast<std::uint32_t>(at), ix == 0 ? kEnd : ix - 1, ix + 1});
      at += step.length_bytes;
    }
    symbols_.back().next = kEnd;
  }

  std::int32_t character_id(std::string_view character) const {
    const auto first = static_cast<std::uint8_t>(character.front());
    if (first < 0x80) return tables_.ascii_ids[first];
    const std::int32_t id = tables_.spellings.find(character);
    const bool special =
        id != kNoToken && tables_.kinds[static_cast<std::size_t>(id)] == TokenKind::kSpecial;
    return special ? kNoToken : id;
  }

  void push(std::uint32_t left_ix, std::uint32_t right_ix) {
    const std::int32_t left = symbols_[left_ix].id;
    const std::int32_t right = symbols_[right_ix].id;
    if (left == kNoToken || right == kNoToken) return;
    const Merge* merge = tables_.merges.find(left, right);
    if (merge != nullptr) joins_.push(Join{merge->rank, left_ix, left, right, merge->joined});
  }

  void apply(const Join& join) {
    Symbol& left = symbols_[join.left_ix];
    if (left.id != join.left_id || left.next == kEnd) return;
    Symbol& right = symbols_[left.next];
    if (right.id != join.right_id) return;
    left.id = join.joined_id;
    left.next = right.next;
    right.id = kNoToken;  // so that joins noted for it are seen to be stale
    if (left.next != kEnd) {
      symbols_[left.next].previous = join.left_ix;
      push(join.left_ix, left.next);
    }
    if (left.previous != kEnd) push(left.previous, join.left_ix);
  }

  void emit(const Symbol& symbol, std::string_view marked, std::vector<std::int32_t>& ids) const {
    if (symbol.id != kNoToken) {
      ids.push_back(symbol.id);
      return;
    }
    const std::string_view rest = marked.substr(symbol.begin_bytes);
    for (const char c : rest.substr(0, next_character(rest).length_bytes)) {
      ids.push_back(tables_.byte_ids[static_cast<std::uint8_t>(c)]);
    }
  }

  const TokenizerTables& tables_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Join> joins_;
};

/// Gathers ordinary text over segment borders and merges it when a special token or the end comes.
class Encoder {
 public:
  explicit Encoder(const TokenizerTables& tables) : tables_(tables), merger_(tables) {}

  void add(std::string_view text, bool trusted) {
    std::size_t from = 0;
    while (trusted) {
      const auto match = tables_.specials.next(text, from);
      if (!match) break;
      pending_ += text.substr(from, match->begin_bytes - from);
      flush();
      ids_.push_back(match->id);
      from = match->begin_bytes + match->length_bytes;
    }
    pending_ += text.substr(from);
  }

  std::vector<std::int32_t> finish() {
    flush();
    return std::move(ids_);
  }

 private:
  void flush() {
    if (pending_.empty()) return;
    if (is_well_formed(pending_)) {
      merger_.encode(pending_, ids_);
    } else {
      merger_.encode(replace_ill_formed(pending_), ids_);
    }
    pending_.clear();
  }

  const TokenizerTables& tables_;
  Merger merger_;
  std::string pending_;
  std::vector<std::int32_t> ids_;
};

}  // namespace

Tokenizer::Tokenizer(std::shared_ptr<const TokenizerTables> tables) : tables_(std::move(tables)) {}

Result<Tokenizer> Tokenizer::create(TokenizerData data) {
  PREFLIGHT_TRY(TokenizerTables tables, build_tables(std::move(data)));
  return Tokenizer(std::make_shared<const TokenizerTables>(std::move(tables)));
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text, bool parse_special) const {
  PREFLIGHT_ASSERT(text.size() <= kMaxTextBytes);
  Encoder encoder(*tables_);
  encoder.add(text, parse_special);
  return encoder.finish();
}

std::vector<std::int32_t> Tokenizer::encode(std::span<const Segment> segments) const {
  Encoder encoder(*tables_);
  std::size_t total_bytes = 0;
  std::string trusted;  // neighbouring trusted segments are one text, a special token may span them
  for (const Segment& segment : segments) {
    total_bytes += segment.text.size();
    PREFLIGHT_ASSERT(total_bytes <= kMaxTextBytes);
    if (segment.trusted) {
      trusted += segment.text;
    } else if (!segment.text.empty()) {
      encoder.add(trusted, true);
      trusted.clear();
      encoder.add(segment.text, false);
    }
  }
  encoder.add(trusted, true);
  return encoder.finish();
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool keep_special) const {
  Utf8Stream stream;
  std::string out;
  for (const std::int32_t id : ids) {
    if (!keep_special && kind(id) == TokenKind::kSpecial) continue;
    out += stream.push(token_bytes(id));
  }
  out += stream.finish();
  return out;
}

std::string Tokenizer::token_bytes(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab_size()) return {};
  const std::string_view spelling = tables_->spellings.spelling(id);
  switch (kind(id)) {
    case TokenKind::kSpecial:
      return std::string(spelling);
    case TokenKind::kByte: {
      const std::optional<std::uint8_t> value = byte_value(spelling);
      PREFLIGHT_ASSERT(value.has_value());  // create() has read it
      return std::string(1, static_cast<char>(*value));
    }
    case TokenKind::kNormal:
    case TokenKind::kUnknown:
    case TokenKind::kUnused:
      break;
  }
  return with_plain_spaces(spelling);
}

TokenKind Tokenizer::kind(std::int32_t id) const {
  if (id < 0 || static_cast<std::size_t>(id) >= vocab_size()) return TokenKind::kUnused;
  return tables_->kinds[static_cast<std::size_t>(id)];
}

std::optional<std::int32_t> Tokenizer::find(std::string_view spelling) const {
  const std::int32_t id = tables_->spellings.find(spelling);
  if (id == kNoToken) return std::nullopt;
  return id;
}

std::size_t Tokenizer::vocab_size() const { return tables_->spellings.size(); }

}  // namespace preflight::text
