#include "engine/model/demo_vocabulary.h"

#include <array>
#include <cctype>
#include <string_view>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "engine/model/bpe_training.h"
#include "engine/model/model_config.h"

namespace preflight::model {
namespace {

enum TokenType : std::int32_t {
  kNormalToken = 1,
  kUnknownToken = 2,
  kControlToken = 3,
  kUserToken = 4,
  kUnusedToken = 5,
  kByteToken = 6,
};

struct SpecialToken {
  std::string_view spelling;
  std::uint32_t published_id;
  TokenType type;
};

constexpr std::array<SpecialToken, 24> kSpecialTokens = {{
    {"<pad>", 0, kControlToken},          {"<eos>", 1, kControlToken},
    {"<bos>", 2, kControlToken},          {"<unk>", 3, kUnknownToken},
    {"<mask>", 4, kControlToken},         {"<|tool>", 46, kControlToken},
    {"<tool|>", 47, kControlToken},       {"<|tool_call>", 48, kUserToken},
    {"<tool_call|>", 49, kUserToken},     {"<|tool_response>", 50, kUserToken},
    {"<tool_response|>", 51, kUserToken}, {"<|\"|>", 52, kUserToken},
    {"<|think|>", 98, kControlToken},     {"<|channel>", 100, kUserToken},
    {"<channel|>", 101, kUserToken},      {"<|turn>", 105, kControlToken},
    {"<turn|>", 106, kControlToken},      {"<|image>", 255999, kControlToken},
    {"<|audio>", 256000, kControlToken},  {"<|image|>", 258880, kControlToken},
    {"<|audio|>", 258881, kControlToken}, {"<image|>", 258882, kControlToken},
    {"<audio|>", 258883, kControlToken},  {"<|video|>", 258884, kControlToken},
}};

constexpr std::uint32_t kFirstNewlines = 107;
constexpr std::uint32_t kFirstByte = 238;
constexpr std::string_view kSpace = "\u2581";

std::string repeated(std::string_view text, std::size_t n) {
  std::string out;
  for (std::size_t i = 0; i < n; ++i) out += text;
  return out;
}

class VocabularyMaker {
 public:
  explicit VocabularyMaker(std::uint32_t size) : published_(size == kPublishedVocabulary) {
    out_.tokens.resize(size);
    out_.types.resize(size, kUnusedToken);
  }

  DemoVocabulary make() && {
    for (const SpecialToken& token : kSpecialTokens) {
      if (published_)
        put(token.published_id, std::string(token.spelling), token.type);
      else
        add(std::string(token.spelling), token.type);
    }
    if (published_) cursor_ = kFirstByte;
    for (std::uint32_t byte = 0; byte < 256; ++byte)
      add(fmt::format("<0x{:02X}>", byte), kByteToken);
    add_runs("\n", published_ ? 31 : 8, published_ ? kFirstNewlines : next_free());
    add_runs(kSpace, published_ ? 16 : 8, next_free());
    for (char c = '!'; c <= '~'; ++c) add(std::string(1, c), kNormalToken);
    for (const std::string_view c : {"–", "—", "‘", "’", "“", "”", "…", "•", "€", "£",
                                     "©", "®", "™", "°", "×", "é", "ä", "ö", "ü", "ß"})
      add(std::string(c), kNormalToken);
    train();
    std::uint32_t unused = 0;
    for (std::string& token : out_.tokens)
      if (token.empty()) token = fmt::format("<unused{}>", unused++);
    return std::move(out_);
  }

 private:
  void put(std::uint32_t id, std::string token, TokenType type) {
    ids_.emplace(token, id);
    out_.tokens[id] = std::move(token);
    out_.types[id] = type;
  }

  /// The number of tokens when all ids are taken.
  std::uint32_t next_free() {
    while (cursor_ < out_.tokens.size() && !out_.tokens[cursor_].empty()) ++cursor_;
    return cursor_;
  }

  /// At the next free id; false when none is left.
  bool add(std::string token, TokenType type) {
    const std::uint32_t id = next_free();
    if (id == out_.tokens.size()) return false;
    put(id, std::move(token), type);
    return true;
  }

  /// Tokens for one to `longest` repetitions from the free ids at `first_id` on, and every way to
  /// merge two shorter runs.
  void add_runs(std::string_view text, std::size_t longest, std::uint32_t first_id) {
    for (std::size_t n = 1; n <= longest; ++n) {
      put(first_id + static_cast<std::uint32_t>(n) - 1, repeated(text, n), kNormalToken);
      for (std::size_t left = n - 1; left >= 1; --left)
        out_.merges.push_back(repeated(text, left) + " " + repeated(text, n - left));
    }
  }

  void train() {
    constexpr std::size_t kCommonWords = 150;
    std::size_t n_words = 0;
    std::vector<TrainingWord> words;
    std::string_view rest = demo_words();
    while (!rest.empty()) {
      const std::size_t end = rest.find('\n');
      const std::string_view line = rest.substr(0, end);
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
      if (line.empty() || line.front() == '#') continue;
      // Most words stand after a space; sentences, lines and quotes begin with the other forms.
      // What is common enough for those is in the first part of the list.
      const bool common = n_words++ < kCommonWords;
      add_forms(words, line, 8, common ? 3 : 1);
      if (!common) continue;
      std::string capital(line);
      capital[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(capital[0])));
      add_forms(words, capital, 3, 3);
    }
    train_bpe(std::move(words), [this](const std::string& left, const std::string& right) {
      const std::string joined = left + right;
      if (!ids_.contains(joined) && !add(joined, kNormalToken)) return false;
      out_.merges.push_back(left + " " + right);
      return true;
    });
  }

  static void add_forms(std::vector<TrainingWord>& words, std::string_view word,
                        std::int64_t after_space, std::int64_t bare) {
    TrainingWord form;
    form.symbols.reserve(word.size() + 1);
    for (const char c : word) form.symbols.emplace_back(1, c);
    form.weight = bare;
    words.push_back(form);
    form.symbols.insert(form.symbols.begin(), std::string(kSpace));
    form.weight = after_space;
    words.push_back(std::move(form));
  }

  bool published_;
  std::uint32_t cursor_ = 0;
  std::unordered_map<std::string, std::uint32_t> ids_;
  DemoVocabulary out_;
};

}  // namespace

Result<DemoVocabulary> make_demo_vocabulary(std::uint32_t size) {
  if (size < kSmallestVocabulary || size > kPublishedVocabulary)
    return fail(ErrorCode::kInvalidInput,
                fmt::format("a vocabulary of {} tokens, expected {} to {}", size,
                            kSmallestVocabulary, kPublishedVocabulary));
  return VocabularyMaker(size).make();
}

}  // namespace preflight::model
