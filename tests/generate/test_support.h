#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/generate/constraint.h"
#include "engine/text/tokenizer.h"

namespace preflight::generate {

/// The tokenizer of the golden model `tiny`.
text::Tokenizer tiny_tokenizer();

/// A vocabulary of one special token, the 256 bytes, printable ASCII, and the words with all their
/// beginnings; every split of a token into two tokens is a merge, shorter tokens first.
text::Tokenizer word_tokenizer(const std::vector<std::string>& words);

/// `n_tokens` tokens grown at random from letters and the characters of JSON.
text::Tokenizer random_tokenizer(std::size_t n_tokens, std::uint32_t seed);

std::shared_ptr<const Vocabulary> vocabulary_of(const text::Tokenizer& tokenizer);
std::shared_ptr<const Vocabulary> tiny_vocabulary();

/// Limits that fit every schema of the tests.
ConstraintLimits wide_limits();

Schema compile_or_die(std::string_view schema, const std::shared_ptr<const Vocabulary>& vocabulary);

bool allows(const ConstraintState& state, std::int32_t token);
std::vector<std::int32_t> allowed_tokens(const ConstraintState& state);

/// Moves over the text with the tokenizer's own tokens; false where one is not allowed.
bool advance_text(ConstraintState& state, const text::Tokenizer& tokenizer, std::string_view text);
/// Whether the schema allows the text as a whole answer, given byte by byte where there are byte
/// tokens.
bool accepts(const Schema& schema, const text::Tokenizer& tokenizer, std::string_view text);

/// How a walk picks its tokens.
enum class Taste {
  kRandom,   ///< any allowed token, all alike
  kLowest,   ///< the lowest id
  kHighest,  ///< the highest id
  kShort,    ///< at random among the allowed tokens of the fewest bytes
  kLong,     ///< at random among those of the most bytes
  kNoQuote,  ///< at random among those without a quote or a bracket, as long as there are any
};
inline constexpr Taste kTastes[] = {Taste::kRandom, Taste::kLowest, Taste::kHighest,
                                    Taste::kShort,  Taste::kLong,   Taste::kNoQuote};

struct Walk {
  std::string text;
  std::size_t n_tokens = 0;
  std::string error;  ///< why it did not end; empty if it did
};

/// Generates one answer without a model. `force`: appends forced text as the engine does.
Walk walk(const Schema& schema, const Vocabulary& vocabulary, Taste taste, bool force,
          std::mt19937& random);

/// Schemas that cover what is supported, each with a name.
std::span<const std::pair<const char*, const char*>> sample_schemas();

}  // namespace preflight::generate
