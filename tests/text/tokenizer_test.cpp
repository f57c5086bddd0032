#include "engine/text/tokenizer.h"

#include <algorithm>
#include <random>

#include <nlohmann/json.hpp>

#include "engine/text/utf8.h"
#include "tests/text/golden_tokenizer.h"

namespace preflight::text {
namespace {

using Ids = std::vector<std::int32_t>;
using Json = nlohmann::json;

std::string from_base64(std::string_view text) {
  constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t bits = 0;
  int n_bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    bits = (bits << 6) | static_cast<std::uint32_t>(kAlphabet.find(c));
    n_bits += 6;
    if (n_bits >= 8) {
      n_bits -= 8;
      bytes.push_back(static_cast<char>((bits >> n_bits) & 0xFFU));
    }
  }
  return bytes;
}

std::vector<Json> golden_rows() {
  std::istringstream lines(read_test_file("golden/tokenizer.jsonl"));
  std::vector<Json> rows;
  for (std::string line; std::getline(lines, line);) {
    rows.push_back(Json::parse(line, nullptr, false));
  }
  return rows;
}

std::string input_of(const Json& row) {
  return row.contains("text") ? row["text"].get<std::string>()
                              : from_base64(row["base64"].get<std::string>());
}

/// A small vocabulary: the bytes, the letters a to d and a space, then `words`, each made by the
/// merges given; `<x>` is special.
TokenizerData small_data(std::vector<std::string> words,
                         std::vector<std::pair<std::string, std::string>> merges) {
  TokenizerData data;
  const auto add = [&data](std::string token, TokenKind kind) {
    data.tokens.push_back(std::move(token));
    data.kinds.push_back(kind);
  };
  for (int byte = 0; byte < 256; ++byte) {
    char spelling[8];
    std::snprintf(spelling, sizeof spelling, "<0x%02X>", static_cast<unsigned>(byte));
    add(spelling, TokenKind::kByte);
  }
  for (const char* token : {"a", "b", "c", "d", "\xE2\x96\x81", "<", "x", ">", "<x>"}) {
    add(token, std::string_view(token) == "<x>" ? TokenKind::kSpecial : TokenKind::kNormal);
  }
  for (std::string& word : words) add(std::move(word), TokenKind::kNormal);
  data.merges = std::move(merges);
  return data;
}

TEST(TokenizerTest, EncodesTheGoldenTexts) {
  const Tokenizer tokenizer = golden_tokenizer();
  std::size_t n_rows = 0;
  for (const Json& row : golden_rows()) {
    if (row.value("decode_only", false)) continue;
    EXPECT_EQ(tokenizer.encode(input_of(row), true), row["ids"].get<Ids>()) << row.dump();
    ++n_rows;
  }
  EXPECT_GT(n_rows, 150U);
}

TEST(TokenizerTest, DecodesTheGoldenIds) {
  const Tokenizer tokenizer = golden_tokenizer();
  for (const Json& row : golden_rows()) {
    const Ids ids = row["ids"].get<Ids>();
    const std::string kept = tokenizer.decode(ids, true);
    const std::string expected = row.value("valid_parts", row["decoded"].get<std::string>());
    EXPECT_EQ(kept, expected) << row.dump();
    if (!row.contains("valid_parts")) {
      EXPECT_EQ(tokenizer.decode(ids, false), row["plain"].get<std::string>()) << row.dump();
    }
  }
}

TEST(TokenizerTest, SegmentBordersDoNotChangeTheIds) {
  const Tokenizer tokenizer = golden_tokenizer();
  std::mt19937 random(7);
  for (const Json& row : golden_rows()) {
    if (row.value("decode_only", false)) continue;
    const std::string text = input_of(row);
    std::vector<Segment> segments;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t n = std::min<std::size_t>(text.size() - at, random() % 4);
      segments.push_back(Segment{text.substr(at, n), true});
      at += n;
    }
    EXPECT_EQ(tokenizer.encode(segments), row["ids"].get<Ids>()) << row.dump();
  }
}

TEST(TokenizerTest, NoSpecialTokenComesOutOfUntrustedText) {
  const Tokenizer tokenizer = golden_tokenizer();
  for (const Json& row : golden_rows()) {
    if (row.value("decode_only", false)) continue;
    const std::string text = input_of(row);
    const Ids ids = tokenizer.encode(text, false);
    for (const std::int32_t id : ids) EXPECT_NE(tokenizer.kind(id), TokenKind::kSpecial) << text;
    if (text.find("\xE2\x96\x81") == std::string::npos) {  // a written U+2581 reads as a space
      EXPECT_EQ(tokenizer.decode(ids, true), replace_ill_formed(text));
    }
    EXPECT_EQ(tokenizer.encode(std::vector<Segment>{{text, false}}), ids);
  }
}

TEST(TokenizerTest, AnUntrustedSegmentCannotCompleteASpecialToken) {
  const Tokenizer tokenizer = golden_tokenizer();
  const std::int32_t turn = tokenizer.find("<|turn>").value();
  const Ids forged = tokenizer.encode(std::vector<Segment>{{"<|tu", true}, {"rn>", false}});
  EXPECT_EQ(std::count(forged.begin(), forged.end(), turn), 0);
  const Ids real = tokenizer.encode(std::vector<Segment>{{"<|tu", true}, {"rn>", true}});
  EXPECT_EQ(real, Ids{turn});
}

TEST(TokenizerTest, TakesTheLowestRankThenTheLeftmost) {
  auto tokenizer = Tokenizer::create(small_data({"aa", "ab", "aab"}, {{"a", "a"}, {"aa", "b"}}));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  const std::int32_t a = tokenizer->find("a").value();
  const std::int32_t aa = tokenizer->find("aa").value();
  const std::int32_t aab = tokenizer->find("aab").value();
  EXPECT_EQ(tokenizer->encode("aaa", true), (Ids{aa, a}));
  EXPECT_EQ(tokenizer->encode("aaaab", true), (Ids{aa, aab}));
}

TEST(TokenizerTest, ACharacterWithoutAnEntryBecomesItsBytes) {
  auto tokenizer = Tokenizer::create(small_data({}, {}));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("\xE2\x82\xAC", true), (Ids{0xE2, 0x82, 0xAC}));
  EXPECT_EQ(tokenizer->encode(std::string_view("\0", 1), true), (Ids{0}));
}

TEST(TokenizerTest, AMergeCannotForgeASpecialToken) {
  auto tokenizer = Tokenizer::create(small_data({"<x"}, {{"<", "x"}, {"<x", ">"}}));
  ASSERT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer->encode("<x>", false),
            (Ids{tokenizer->find("<x").value(), tokenizer->find(">").value()}));
  EXPECT_EQ(tokenizer->encode("<x>", true), (Ids{tokenizer->find("<x>").value()}));
}

TEST(TokenizerTest, IdsOutsideTheVocabularyAreHarmless) {
  const Tokenizer tokenizer = golden_tokenizer();
  const auto beyond = static_cast<std::int32_t>(tokenizer.vocab_size());
  for (const std::int32_t id : {-1, beyond, INT32_MIN, INT32_MAX}) {
    EXPECT_EQ(tokenizer.token_bytes(id), "");
    EXPECT_EQ(tokenizer.kind(id), TokenKind::kUnused);
  }
  EXPECT_EQ(tokenizer.decode(Ids{-1, beyond}, true), "");
}

TEST(TokenizerTest, RefusesWhatCannotBeRight) {
  const auto message = [](TokenizerData data) {
    auto made = Tokenizer::create(std::move(data));
    return made.has_value() ? std::string("accepted") : made.error().message;
  };
  TokenizerData twice = small_data({"aa", "aa"}, {});
  EXPECT_EQ(message(twice), "tokens 265 and 266 are both spelled 'aa'");
  TokenizerData merge = small_data({"aa"}, {{"a", "a"}, {"a", "b"}});
  EXPECT_EQ(message(merge), "merge 1 ('a' and 'b') needs 'ab', which is not in the vocabulary");
  TokenizerData kinds = small_data({}, {});
  kinds.kinds.pop_back();
  EXPECT_EQ(message(kinds), "the vocabulary has 265 tokens but 264 token types");
  TokenizerData bytes = small_data({}, {});
  bytes.tokens[65] = "gone";
  bytes.kinds[65] = TokenKind::kNormal;
  EXPECT_EQ(message(bytes), "the vocabulary has no byte token <0x41>");
  TokenizerData spelling = small_data({"\xFF"}, {});
  EXPECT_EQ(message(spelling), "token 265 is not valid UTF-8");
  EXPECT_EQ(message({}), "the vocabulary is empty");
}

TEST(TokenizerTest, EncodesALongTextWithoutBorders) {
  const Tokenizer tokenizer = golden_tokenizer();
  const std::string text(1 << 20, 'a');
  const Ids ids = tokenizer.encode(text, true);
  EXPECT_EQ(tokenizer.decode(ids, true), text);
}

}  // namespace
}  // namespace preflight::text
