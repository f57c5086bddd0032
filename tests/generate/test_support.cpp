#include "tests/generate/test_support.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "engine/text/tokenizer_json.h"

namespace preflight::generate {
namespace {

template <class T>
T value_or_die(Result<T> result) {
  if (!result) {
    std::cerr << result.error().message << '\n';
    std::abort();
  }
  return std::move(result).value();
}

// The special token, the bytes and the single characters that every test vocabulary has.
text::TokenizerData base_data() {
  text::TokenizerData data;
  const auto add = [&](std::string token, text::TokenKind kind) {
    data.tokens.push_back(std::move(token));
    data.kinds.push_back(kind);
  };
  add("<end>", text::TokenKind::kSpecial);
  for (unsigned byte = 0; byte < 256; ++byte) {
    add(fmt::format("<0x{:02X}>", byte), text::TokenKind::kByte);
  }
  for (char c = 0x21; c < 0x7F; ++c) add(std::string(1, c), text::TokenKind::kNormal);
  add("\xE2\x96\x81", text::TokenKind::kNormal);
  return data;
}

// The ends of the UTF-8 characters of a spelling, in bytes.
std::vector<std::size_t> character_ends(std::string_view spelling) {
  std::vector<std::size_t> ends;
  for (std::size_t i = 1; i <= spelling.size(); ++i) {
    if (i == spelling.size() || (static_cast<unsigned char>(spelling[i]) & 0xC0) != 0x80) {
      ends.push_back(i);
    }
  }
  return ends;
}

// As a tokenizer spells a text: U+2581 for each space.
std::string spell(std::string_view text) {
  std::string spelling;
  for (const char c : text) {
    if (c == ' ') {
      spelling += "\xE2\x96\x81";
    } else {
      spelling += c;
    }
  }
  return spelling;
}

}  // namespace

text::Tokenizer tiny_tokenizer() {
  std::ifstream file(PREFLIGHT_TEST_DATA "/golden/models/tiny/tokenizer.json", std::ios::binary);
  const std::string json((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return value_or_die(text::Tokenizer::create(value_or_die(text::read_tokenizer_json(json))));
}

text::Tokenizer word_tokenizer(const std::vector<std::string>& words) {
  text::TokenizerData data = base_data();
  std::set<std::string> known(data.tokens.begin(), data.tokens.end());
  std::vector<std::string> added;
  for (const std::string& word : words) {
    const std::string spelling = spell(word);
    for (const std::size_t end : character_ends(spelling)) {
      const std::string token = spelling.substr(0, end);
      if (known.insert(token).second) added.push_back(token);
    }
  }
  // A last part of a word may be a single character that has no token yet.
  for (const std::string& word : words) {
    const std::string spelling = spell(word);
    std::size_t begin = 0;
    for (const std::size_t end : character_ends(spelling)) {
      const std::string token = spelling.substr(begin, end - begin);
      if (known.insert(token).second) added.push_back(token);
      begin = end;
    }
  }
  std::stable_sort(added.begin(), added.end(), [](const std::string& a, const std::string& b) {
    return character_ends(a).size() < character_ends(b).size();
  });
  for (const std::string& token : added) {
    data.tokens.push_back(token);
    data.kinds.push_back(text::TokenKind::kNormal);
    for (const std::size_t end : character_ends(token)) {
      if (end == token.size()) continue;
      const std::string left = token.substr(0, end);
      const std::string right = token.substr(end);
      if (known.contains(left) && known.contains(right)) data.merges.emplace_back(left, right);
    }
  }
  return value_or_die(text::Tokenizer::create(std::move(data)));
}

text::Tokenizer random_tokenizer(std::size_t n_tokens, std::uint32_t seed) {
  std::mt19937 random(seed);
  text::TokenizerData data = base_data();
  std::vector<std::string> characters = {
      "\xE2\x96\x81", "\xC3\xA9", "\xE4\xB8\x96", "\"", "\"", "{", "}", ",", ":", "\\"};
  for (char c = 'a'; c <= 'z'; ++c) characters.emplace_back(1, c);
  std::unordered_set<std::string> known(data.tokens.begin(), data.tokens.end());
  std::vector<std::string> grown;
  for (const std::string& character : characters) {
    if (known.insert(character).second) {
      data.tokens.push_back(character);
      data.kinds.push_back(text::TokenKind::kNormal);
    }
    grown.push_back(character);
  }
  while (data.tokens.size() < n_tokens) {
    const std::string& left = grown[random() % grown.size()];
    const std::string& right = characters[random() % characters.size()];
    std::string token = left + right;
    if (token.size() > 48 || !known.insert(token).second) continue;
    data.merges.emplace_back(left, right);
    data.tokens.push_back(token);
    data.kinds.push_back(text::TokenKind::kNormal);
    grown.push_back(std::move(token));
  }
  return value_or_die(text::Tokenizer::create(std::move(data)));
}

std::shared_ptr<const Vocabulary> vocabulary_of(const text::Tokenizer& tokenizer) {
  return value_or_die(Vocabulary::build(tokenizer, {}));
}

std::shared_ptr<const Vocabulary> tiny_vocabulary() {
  static const std::shared_ptr<const Vocabulary> vocabulary = vocabulary_of(tiny_tokenizer());
  return vocabulary;
}

ConstraintLimits wide_limits() {
  ConstraintLimits limits;
  limits.max_tokens = 100'000'000;
  limits.max_chars = 100'000'000;
  return limits;
}

Schema compile_or_die(std::string_view schema,
                      const std::shared_ptr<const Vocabulary>& vocabulary) {
  return value_or_die(Schema::compile(schema, vocabulary, wide_limits()));
}

bool allows(const ConstraintState& state, std::int32_t token) {
  const auto id = static_cast<std::size_t>(token);
  return ((*state.mask())[id / 32] >> (id % 32) & 1u) != 0;
}

std::vector<std::int32_t> allowed_tokens(const ConstraintState& state) {
  const auto mask = state.mask();
  std::vector<std::int32_t> tokens;
  for (std::size_t id = 0; id < state.vocabulary_size(); ++id) {
    if (((*mask)[id / 32] >> (id % 32) & 1u) != 0) tokens.push_back(static_cast<std::int32_t>(id));
  }
  return tokens;
}

bool advance_text(ConstraintState& state, const text::Tokenizer& tokenizer, std::string_view text) {
  for (const std::int32_t id : tokenizer.encode(text, /*parse_special=*/false)) {
    if (!state.advance(id)) return false;
  }
  return true;
}

bool accepts(const Schema& schema, const text::Tokenizer& tokenizer, std::string_view text) {
  ConstraintState state = schema.begin();
  return advance_text(state, tokenizer, text) && state.can_stop();
}

Walk walk(const Schema& schema, const Vocabulary& vocabulary, Taste taste, bool force,
          std::mt19937& random) {
  Walk result;
  ConstraintState state = schema.begin();
  const auto take = [&](std::int32_t token) {
    if (!allows(state, token)) result.error = fmt::format("token {} is not in the mask", token);
    if (const auto moved = state.advance(token); !moved) result.error = moved.error().message;
    result.text += vocabulary.token_bytes(token);
    ++result.n_tokens;
  };
  while (!state.done() && result.error.empty()) {
    if (result.n_tokens > schema.longest_answer_tokens()) {
      result.error = fmt::format("more than {} tokens", schema.longest_answer_tokens());
    }
    if (force) {
      for (const std::int32_t token : state.forced()) take(token);
      if (state.done()) break;
    }
    if (state.can_stop() && random() % 2 == 0) break;
    std::vector<std::int32_t> tokens = allowed_tokens(state);
    if (tokens.empty()) {
      result.error = fmt::format("no token may follow {}", result.text);
      break;
    }
    const auto length = [&](std::int32_t id) { return vocabulary.token_bytes(id).size(); };
    const auto keep = [&](auto&& wanted) {
      std::vector<std::int32_t> kept;
      std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(kept), wanted);
      if (!kept.empty()) tokens = std::move(kept);
    };
    if (taste == Taste::kShort || taste == Taste::kLong) {
      std::size_t best = length(tokens[0]);
      for (const std::int32_t id : tokens) {
        best = taste == Taste::kShort ? std::min(best, length(id)) : std::max(best, length(id));
      }
      keep([&](std::int32_t id) { return length(id) == best; });
    }
    if (taste == Taste::kNoQuote) {
      keep([&](std::int32_t id) {
        return vocabulary.token_bytes(id).find_first_of("\"]}") == std::string_view::npos;
      });
    }
    std::size_t index = random() % tokens.size();
    if (taste == Taste::kLowest) index = 0;
    if (taste == Taste::kHighest) index = tokens.size() - 1;
    take(tokens[index]);
  }
  return result;
}

std::span<const std::pair<const char*, const char*>> sample_schemas() {
  static constexpr std::pair<const char*, const char*> kSchemas[] = {
      {"root string", R"({"type":"string","maxLength":12})"},
      {"exact length", R"({"type":"string","minLength":9,"maxLength":9})"},
      {"long string", R"({"type":"string","minLength":3,"maxLength":90})"},
      {"root integer", R"({"type":"integer","minimum":-20,"maximum":1234})"},
      {"any integer", R"({"type":"integer"})"},
      {"any number", R"({"type":"number"})"},
      {"money", R"({"type":"number","minimum":0.05,"maximum":99.95,"multipleOf":0.01})"},
      {"negative", R"({"type":"number","exclusiveMinimum":-2.5,"exclusiveMaximum":-0.125})"},
      {"boolean", R"({"type":"boolean"})"},
      {"null", R"({"type":"null"})"},
      {"constant", R"({"const":"only \"this\" \u00e9"})"},
      {"words", R"({"enum":["yes","partly","no","cannot_tell","not_applicable"]})"},
      {"shared beginnings", R"({"enum":["a","ab","abc","abd","b\"c","","\n"]})"},
      {"mixed", R"({"enum":[1,12,123,-1,1.5,true,null,"1",false]})"},
      {"empty", R"({"type":"object","properties":{}})"},
      {"no items", R"({"type":"array","maxItems":0})"},
      {"array", R"({"type":"array","items":{"type":"integer","minimum":0,"maximum":9}})"},
      {"pair", R"({"type":"array","items":{"enum":["x","yy"]},"minItems":2,"maxItems":2})"},
      {"nested arrays", R"({"type":"array","maxItems":3,"items":{"type":"array","minItems":1,
          "maxItems":2,"items":{"type":"array","maxItems":2,"items":{"type":"boolean"}}}})"},
      {"fixed items", R"({"type":"array","minItems":3,"maxItems":3,"items":{"const":"same"}})"},
      {"unicode keys", R"({"type":"object","properties":{"gr\u00fc\u00dfe":{"type":"null"},
          "\u4e16\"\\\n":{"type":"string","maxLength":5},"":{"enum":["\u00e9","\u00e8"]}}})"},
      {"review", R"({"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
          "properties":{
            "seen":{"type":"string","minLength":1,"maxLength":60,"description":"what is there"},
            "evidence":{"type":"array","maxItems":3,"items":{"type":"object","properties":{
              "quote":{"type":"string","maxLength":30},
              "frame":{"enum":["f0001","f0002","f0013"]},
              "seconds":{"type":"number","minimum":0,"maximum":15,"multipleOf":0.1}},
              "required":["quote","frame"],"additionalProperties":false}},
            "score":{"type":"integer","minimum":0,"maximum":100},
            "certain":{"type":"boolean"},
            "answer":{"enum":["yes","partly","no","cannot_tell","not_applicable"]}},
          "required":["seen","evidence","score","certain","answer"]})"},
  };
  return kSchemas;
}

}  // namespace preflight::generate
