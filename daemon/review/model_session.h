// The only door from the review to the engine: prompts become inputs, schemas become constraints.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "daemon/review/prompt.h"
#include "daemon/review/verdict.h"
#include "engine/engine.h"
#include "vk/error.h"

namespace preflight::review {

/// Work of one pass. What is written is the same on every repetition; what is read and how often
/// the weights are gone through depends on what earlier reviews have left in the prefix cache.
struct PassWork {
  std::uint64_t prefilled_tokens = 0, generated_tokens = 0, forced_tokens = 0;
  std::uint64_t cached_tokens = 0;  ///< that sequences had without prefilling them
  std::uint64_t narrow_steps = 0, wide_steps = 0;
  /// Fewer than one for each token of the longest answer, by forced text and by drafts.
  std::uint64_t saved_steps = 0, draft_saved_steps = 0;
  double seconds = 0;
};

using Cancelled = std::function<bool()>;
using Progress = std::function<void(std::uint64_t done_tokens, std::uint64_t total_tokens)>;

class ModelSession {
 public:
  /// `engine` must outlive the session.
  explicit ModelSession(engine::Engine& engine) : engine_(&engine) {}

  bool sees() const;   ///< the model has image weights
  bool hears() const;  ///< the model has sound weights
  std::uint32_t context_tokens() const { return engine_->context_tokens(); }

  /// Tokens and soft tokens of a prompt, `bos` not counted.
  std::uint64_t count_tokens(const Prompt& prompt) const;
  /// Characters of ordinary words that one token stands for, on average.
  double characters_per_token(std::string_view words) const;

  /// A sequence that holds bos and the stages, one after another. What an earlier sequence has left
  /// of them is not read again, and the end of each stage is kept for later ones.
  Result<engine::SequenceId> begin(std::span<const Prompt> stages, const Progress& progress,
                                   const Cancelled& cancelled);
  Result<engine::SequenceId> open();
  Result<engine::SequenceId> fork(engine::SequenceId sequence);
  void close(engine::SequenceId sequence) { engine_->close(sequence); }
  /// `first`: nothing stands in the sequence yet, so it begins with bos.
  Result<void> prefill(engine::SequenceId sequence, const Prompt& prompt, bool first,
                       const Progress& progress, const Cancelled& cancelled);
  /// Several sequences in one go.
  Result<void> prefill_many(std::span<const engine::SequenceId> sequences,
                            std::span<const Prompt> prompts, bool first, const Progress& progress,
                            const Cancelled& cancelled);
  /// Decodes all rows together, each under its schema.
  /// Errors: kLimit where an answer does not end within the context.
  Result<std::vector<CheckAnswer>> answer(std::span<const engine::SequenceId> sequences,
                                          std::span<const nlohmann::ordered_json> schemas,
                                          const Cancelled& cancelled);

  /// What the engine has done so far; differences are a pass's work (without seconds).
  PassWork work() const;

 private:
  /// A picture or sound, and where its soft tokens stand.
  struct Medium {
    const PromptPart* part = nullptr;
    std::size_t first = 0, n = 0;  ///< inputs
    engine::SoftTokens soft;       ///< what they point into, once embedded
  };
  struct Encoded {
    std::vector<engine::Input> inputs;
    std::vector<Medium> media;
  };
  /// The inputs of a prompt behind those that are there; their media are not embedded.
  void encode(const Prompt& prompt, Encoded& to) const;
  [[nodiscard]] Encoded start(bool first) const;
  /// Embeds the media that reach beyond the first n_cached inputs.
  Result<void> embed(Encoded& encoded, std::size_t n_cached);

  engine::Engine* engine_;
  std::uint64_t cached_tokens_ = 0;
};

}  // namespace preflight::review
