#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <nlohmann/json.hpp>

#include "engine/generate/automaton.h"
#include "engine/generate/constraint.h"
#include "engine/generate/mask_cache.h"
#include "engine/generate/vocabulary.h"
#include "vk/error.h"

namespace preflight::generate {

/// What a Schema holds and its states share.
struct CompiledSchema {
  CompiledSchema(Automaton machine, std::shared_ptr<const Vocabulary> words)
      : automaton(std::move(machine)),
        vocabulary(std::move(words)),
        masks(vocabulary->mask_words()) {}

  Automaton automaton;
  std::shared_ptr<const Vocabulary> vocabulary;
  std::size_t longest_tokens = 0;
  std::size_t longest_chars = 0;
  /// Fixed text holds U+2581, which the tokenizer reads as a space: it is left to the masks.
  bool forcing_is_safe = true;
  mutable MaskCache masks;
};

/// The longest answer of a part of a schema. Sums and products stop at kMost instead of wrapping.
struct AnswerSize {
  static constexpr std::size_t kMost = std::size_t{1} << 48;

  std::size_t tokens = 0;
  std::size_t chars = 0;
  std::string heaviest{};  ///< pointer of the part that takes the most tokens
  std::size_t heaviest_tokens = 0;

  void add(const AnswerSize& part);
  AnswerSize times(std::size_t count) const;
};

struct CompiledAutomaton {
  Automaton automaton;
  AnswerSize longest;
};

/// Turns a schema into its automaton; see Schema::compile for the errors. Of the limits only the
/// two defaults are used.
Result<CompiledAutomaton> compile_automaton(const nlohmann::ordered_json& schema,
                                            const ConstraintLimits& limits);

/// The numbers that "minimum", "maximum", their exclusive forms and "multipleOf" of a schema of
/// type "integer" or "number" leave. Messages name `pointer`.
Result<NumberRange> read_number_range(const nlohmann::ordered_json& schema, bool integer,
                                      const std::string& pointer);

/// The error about the part of a schema at `pointer`: "schema /properties/a: <sentence>", of the
/// root "schema: <sentence>".
tl::unexpected<Error> refuse(ErrorCode code, const std::string& pointer,
                             const std::string& sentence);

}  // namespace preflight::generate
