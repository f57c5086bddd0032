#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "engine/generate/automaton.h"
#include "engine/generate/vocabulary.h"
#include "vk/error.h"

/// Answers that cannot leave their JSON schema (docs/constraint.md has the supported part of JSON
/// Schema, the limits and the errors).
///
/// The generation loop, for one sequence:
///
///     auto state = schema.begin();
///     while (!state.done()) {
///       for (id : state.forced()) { append id to the next step; state.advance(id); }
///       if (state.done()) break;
///       logits = step(...);
///       token = best of logits among state.mask(), and the stop ids where state.can_stop();
///       if (state.choice()) choices.read(..., token);  // engine/generate/choice_reader.h
///       if (token is a stop id) break;
///       state.advance(token);
///     }
///
/// The loop ends after at most schema.longest_answer_tokens() tokens, whatever the logits are.
namespace preflight::generate {

/// What an answer may cost at most. A schema whose longest answer passes one of the first two is
/// refused when it is compiled.
struct ConstraintLimits {
  std::size_t max_tokens = 4096;           ///< tokens of the longest answer, no stop token counted
  std::size_t max_chars = 65536;           ///< characters (code points) of its JSON text
  std::size_t default_string_chars = 256;  ///< maxLength of a string that gives none
  std::size_t default_array_items = 16;    ///< maxItems of an array that gives none
};

/// One of the literals at a choice.
struct ChoiceLiteral {
  std::string json;              ///< canonical JSON text: `"yes"`, `12`, `null`
  std::size_t schema_index = 0;  ///< its place in `enum`; for a boolean false is 0 and true is 1
};

/// A token that is allowed here, and the literals it leaves possible.
struct ChoiceToken {
  std::int32_t id = 0;
  std::uint32_t begin = 0, end = 0;  ///< literals[begin, end) of the Choice
};

/// A place in the answer where the next thing open is which of several literals follows. Fixed
/// text may still stand before them (a quote that tokenisation may join with the literal).
struct Choice {
  std::string pointer{};            ///< where in the answer, a JSON pointer: `/checks/0/answer`
  std::size_t schema_literals = 0;  ///< how many literals the schema gives at this place
  std::size_t first_literal = 0;    ///< place of literals[0] among all of them, sorted
  std::vector<ChoiceLiteral> literals{};  ///< those still possible, two or more, sorted by bytes
  std::vector<ChoiceToken> tokens{};      ///< exactly the tokens of the mask, ascending ids
  /// Literals [stop_begin, stop_end) may end the answer right here (only a number at the root that
  /// is the beginning of another); an empty range elsewhere.
  std::uint32_t stop_begin = 0, stop_end = 0;
};

struct CompiledSchema;
class ConstraintState;

/// A schema ready for use with one vocabulary. Cheap to copy; copies share the mask cache, which
/// holds at most 8 MiB of masks and is safe to use from several threads.
class Schema {
 public:
  /// Errors: kInvalidInput for text that is no JSON or a schema that contradicts itself;
  /// kUnsupported for what is outside docs/constraint.md and for a vocabulary that lacks a byte;
  /// kLimit where the longest answer does not fit. Every message begins with the JSON pointer of
  /// the place (`schema /properties/a/items:`).
  static Result<Schema> compile(std::string_view json_schema,
                                std::shared_ptr<const Vocabulary> vocabulary,
                                const ConstraintLimits& limits);
  /// The same from parsed JSON. The ordered form, because the order of the keys is the order of
  /// the answer.
  static Result<Schema> compile_parsed(const nlohmann::ordered_json& json_schema,
                                       std::shared_ptr<const Vocabulary> vocabulary,
                                       const ConstraintLimits& limits);

  /// Upper bounds over all answers and all tokenisations of them; see docs/constraint.md.
  std::size_t longest_answer_tokens() const;
  std::size_t longest_answer_chars() const;

  /// The cursor before the first token.
  ConstraintState begin() const;

 private:
  explicit Schema(std::shared_ptr<const CompiledSchema> compiled)
      : compiled_(std::move(compiled)) {}

  std::shared_ptr<const CompiledSchema> compiled_;
};

/// Where one sequence stands in its answer. Cheap to copy: a few words and a shared pointer.
class ConstraintState {
 public:
  /// The text that must follow, as token ids that may be appended without sampling; empty where
  /// there is a choice or no safe border. They are the first ids of the tokenizer's encoding of
  /// that text, whatever allowed text comes after it. Advance over each of them.
  std::vector<std::int32_t> forced() const;

  /// The tokens allowed next, one bit for each id (bit id % 32 of word id / 32). Never empty
  /// unless done(). Stop tokens are not in it: they are allowed where can_stop() says so.
  std::shared_ptr<const std::vector<std::uint32_t>> mask() const;

  /// Present if the next open thing is a choice between literals.
  std::optional<Choice> choice() const;

  /// The tokens that lead from here through literal `index` of choice(), as far as they are certain
  /// whatever text follows; maybe none. All of them are allowed, one behind the other.
  std::vector<std::int32_t> spell(std::size_t index) const;

  /// Moves over one token. kInternal if it is not allowed here (a bug of the caller), with the
  /// token's id and text and what is expected; the state is then unchanged.
  Result<void> advance(std::int32_t token);

  /// The answer is complete and nothing can follow: only the end is allowed.
  bool done() const;
  /// The text so far is a complete answer. True when done(), and inside a number that is the whole
  /// answer, where more digits may still follow.
  bool can_stop() const;

  /// Ids of the vocabulary: the length of a row of logits.
  std::size_t vocabulary_size() const;

 private:
  friend class Schema;
  /// The first tokens of the tokenizer's encoding of `text` that stay whatever follows; `behind` is
  /// the cursor after it.
  std::vector<std::int32_t> certain_tokens(std::string text, const Cursor& behind) const;

  ConstraintState(std::shared_ptr<const CompiledSchema> compiled, const Cursor& cursor)
      : compiled_(std::move(compiled)), cursor_(cursor) {}

  std::shared_ptr<const CompiledSchema> compiled_;
  Cursor cursor_;
};

}  // namespace preflight::generate
