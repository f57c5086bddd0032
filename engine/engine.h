#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/forward/tuning.h"
#include "engine/generate/choice_reader.h"
#include "engine/generate/constraint.h"
#include "engine/generate/vocabulary.h"
#include "engine/kv/position_key.h"
#include "engine/model/model_config.h"
#include "engine/sampling.h"
#include "engine/text/tokenizer.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::media {
struct ImagePatches;
}

namespace preflight::engine {

/// Precision of the KV pages. kF32 is for numerical comparison, kF16 for use.
enum class KvFormat { kF32, kF16 };

struct EngineOptions {
  std::filesystem::path model;   ///< GGUF file or Hugging Face directory
  std::filesystem::path mmproj;  ///< image and sound weights of a GGUF model; may be empty
  /// GGUF file or Hugging Face directory of the model's drafter; empty: none.
  std::filesystem::path drafter;
  /// Tokens to draft for each round of an answer, literals that its schema allows included, which
  /// need no drafter. Default: with a drafter as many as measurably pay, without one none.
  std::optional<std::uint32_t> draft_tokens;
  vk::DeviceOptions device;
  std::optional<vk::Tier> tier;  ///< default: what the tuning table says for the device
  KvFormat kv = KvFormat::kF16;
  /// Positions that all open sequences may hold together (shared pages count once).
  std::uint32_t context_tokens = 16384;
  std::uint32_t max_sequences = 16;
  /// Sizes that stand before the tuning table's; default: those that tune() kept in
  /// device.cache_dir.
  std::optional<std::vector<forward::TunedValue>> tuned;
  /// Beginnings of sequences that may be kept for later ones (Engine::bookmark); fewer where memory
  /// is short. Each costs a sliding window of pages, 335 MB on the 12B.
  std::uint32_t max_bookmarks = 2;
};

/// What loading would need and what it found; in bytes.
struct MemoryPlan {
  std::uint64_t weights_bytes = 0;
  std::uint64_t pages_bytes = 0;
  std::uint64_t bookmarks_bytes = 0;  ///< pages for max_bookmarks more windows
  std::uint64_t arena_bytes = 0;
  std::uint64_t staging_bytes = 0;
  std::uint64_t drafter_bytes = 0;  ///< its weights and scratch
  std::uint64_t budget_bytes = 0;
  std::uint32_t max_bookmarks = 0;
  [[nodiscard]] std::uint64_t total_bytes() const {
    return weights_bytes + pages_bytes + bookmarks_bytes + arena_bytes + staging_bytes +
           drafter_bytes;
  }
};

/// Rows that enter the first decoder layer in place of token embeddings (docs/model.md, vision
/// embedder; audio embedder): f32 [n_tokens, model_dim].
struct SoftTokens {
  std::uint32_t n_tokens = 0;
  std::vector<float> rows;
};

/// One position of a sequence: a token, or a soft token standing at a placeholder id.
struct Input {
  std::int32_t token = 0;           ///< the id; for a soft token the placeholder's
  const float* soft_row = nullptr;  ///< f32 [model_dim], read during the call; null for a token
  bool vision = false;              ///< a run of these is one block that attends both ways
  /// Of a soft token, for the prefix cache: which medium it is a part of, and which part.
  kv::MediumKey medium{};
  std::uint32_t medium_index = 0;
};

/// An open sequence. Valid until close(); forks are sequences of their own.
enum class SequenceId : std::uint32_t {};

/// What open_cached() opened.
struct CachedSequence {
  SequenceId sequence{};
  std::uint32_t n_cached = 0;  ///< inputs that it holds already
};

struct GenerateRow {
  SequenceId sequence{};
  /// The answer's constraint at its start; empty: free text until a stop token. A constrained
  /// answer ends by its schema, which was compiled for a number of tokens.
  std::optional<generate::ConstraintState> constraint;
  std::uint32_t max_tokens = 256;  ///< of free text
  Sampling sampling{};             ///< default: greedy
  bool draft = true;               ///< whether its tokens may be drafted
};

/// What the model thought of a choice between literals that its answer passed through.
struct ChoiceReading {
  generate::ChoiceOutcome outcome;
  double margin = 0;  ///< gap of the two best allowed logits where the choice was first open
};

/// What a drafter saw and thought of the tokens that may follow one.
struct DraftTrace {
  std::vector<float> hidden;               ///< f32 [model_dim], the target's final row before it
  std::vector<std::int32_t> ids;           ///< [n_drafts]
  std::vector<std::vector<float>> logits;  ///< by draft, f32 [vocab_size]
};

enum class FinishReason { kStop, kLength, kSchema };

struct Generation {
  std::vector<std::int32_t> ids;  ///< with the stop token, where one ended it
  std::string text;               ///< special tokens kept, the stop token left out
  FinishReason finish_reason = FinishReason::kLength;
  std::uint32_t n_forced_tokens = 0;
  std::uint32_t n_drafted_tokens = 0;   ///< proposed, for the model to look at
  std::uint32_t n_accepted_tokens = 0;  ///< those that the model agreed with
  std::vector<ChoiceReading> choices;
};

/// Work done since the engine was loaded; differences give a pass's share.
struct Meter {
  std::uint64_t prefilled_tokens = 0;
  std::uint64_t cached_tokens = 0;  ///< that open_cached() found, and nobody prefilled again
  std::uint64_t generated_tokens = 0;
  std::uint64_t forced_tokens = 0;
  std::uint64_t drafted_tokens = 0;
  std::uint64_t accepted_tokens = 0;
  std::uint64_t narrow_steps = 0;  ///< steps of at most kMaxNarrowRows rows
  std::uint64_t wide_steps = 0;
  /// Steps that generate() did without, of one for each token of the longest answer: thanks to text
  /// that the schema forces, drafts or not, and thanks to accepted drafts besides.
  std::uint64_t saved_steps = 0, draft_saved_steps = 0;
  double prefill_seconds = 0;
  double generate_seconds = 0;
  /// Of generate_seconds, between a submission and its end: what is left is the host's own work.
  double generate_device_seconds = 0;
};

inline constexpr std::uint32_t kMaxNarrowRows = 32;

/// Called between submissions; return true to stop with ErrorCode::kCancelled.
using Cancelled = std::function<bool()>;
/// Prefilled so far, and in all, of the call.
using Progress = std::function<void(std::uint64_t done_tokens, std::uint64_t total_tokens)>;

/// One model on one device. Not thread-safe: one thread owns it. After kDeviceLost every further
/// call fails the same way; load again and replay.
class Engine {
 public:
  /// Reads the files, computes the memory needed and refuses with both figures if it does not fit,
  /// lays the weights out on the device, and checks there that the device computes what the CPU
  /// twins do.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> load(const EngineOptions& options);

  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] const model::ModelConfig& config() const;
  [[nodiscard]] const model::SpecialTokens& special_tokens() const;
  [[nodiscard]] const text::Tokenizer& tokenizer() const;
  /// The tokenizer's tokens as constraints need them; for generate::Schema::compile.
  [[nodiscard]] const std::shared_ptr<const generate::Vocabulary>& vocabulary() const;
  [[nodiscard]] const vk::DeviceDescription& device() const;
  [[nodiscard]] vk::Tier tier() const;
  [[nodiscard]] const forward::Tuning& tuning() const;
  [[nodiscard]] KvFormat kv_format() const;
  /// Longest sequence, and the positions of all open sequences together.
  [[nodiscard]] std::uint32_t context_tokens() const;
  [[nodiscard]] const MemoryPlan& memory_plan() const;
  [[nodiscard]] std::uint64_t peak_device_bytes() const;
  /// What the driver was asked for, blocks included.
  [[nodiscard]] std::uint64_t reserved_device_bytes() const;
  [[nodiscard]] std::string model_digest() const;
  [[nodiscard]] bool has_drafter() const;
  [[nodiscard]] const Meter& meter() const;

  /// patches f32 [columns*rows, 6912] -> soft tokens in the same raster order.
  [[nodiscard]] Result<SoftTokens> embed_image(const media::ImagePatches& image);
  /// samples at 16 kHz, mono; the last frame of 640 is padded with zeros.
  [[nodiscard]] Result<SoftTokens> embed_audio(std::span<const float> samples);

  [[nodiscard]] Result<SequenceId> open();
  /// A sequence that holds the longest beginning of `inputs` that the bookmarks have, though never
  /// all of them: the caller appends those from n_cached on. What follows is equal to the bit to
  /// what it is without the cache. Soft rows are not read; media are told apart by their keys.
  [[nodiscard]] Result<CachedSequence> open_cached(std::span<const Input> inputs);
  /// Keeps what the sequence holds, pending input left out, for open_cached(), also beyond close().
  /// A bookmark is given up for a newer one, or where open sequences need its pages; the one that
  /// was not used for the longest time goes first.
  void bookmark(SequenceId sequence);
  /// A sequence with the same content; complete pages are shared, the last one is copied when
  /// written.
  [[nodiscard]] Result<SequenceId> fork(SequenceId sequence);
  void close(SequenceId sequence);
  [[nodiscard]] std::uint32_t length(SequenceId sequence) const;

  /// Appends inputs. The last one stays pending: its row is computed by the next call that needs
  /// it, so generation starts without reading anything twice. A vision block must lie whole in one
  /// call.
  [[nodiscard]] Result<void> prefill(SequenceId sequence, std::span<const Input> inputs,
                                     const Progress& progress = {},
                                     const Cancelled& cancelled = {});
  /// Appends inputs to every sequence, several sequences in one step. sequences.size() ==
  /// inputs.size().
  [[nodiscard]] Result<void> prefill_many(std::span<const SequenceId> sequences,
                                          std::span<const std::vector<Input>> inputs,
                                          const Progress& progress = {},
                                          const Cancelled& cancelled = {});
  /// Appends inputs and hands over the capped logits f32 [vocab_size] of the wanted indices into
  /// `inputs` (ascending), before suppression. Nothing stays pending.
  [[nodiscard]] Result<void> logits(
      SequenceId sequence, std::span<const Input> inputs, std::span<const std::uint32_t> wanted,
      const std::function<void(std::uint32_t index, std::span<const float>)>& take);

  /// Appends inputs and drafts `n_drafts` tokens that may follow `token`, which would stand behind
  /// them; nothing is verified, and nothing stays pending. For numerical comparison; the engine has
  /// a drafter.
  [[nodiscard]] Result<DraftTrace> draft(SequenceId sequence, std::span<const Input> inputs,
                                         std::int32_t token, std::uint32_t n_drafts);

  /// A round's verification alone: the pending token and `drafts` behind it in one step of
  /// generation. What follows each of them, greedily: [drafts.size() + 1]. The sequence stays as it
  /// was. For measurement. Errors: kInvalidInput where nothing is pending.
  [[nodiscard]] Result<std::vector<std::int32_t>> verify(SequenceId sequence,
                                                         std::span<const std::int32_t> drafts);

  /// Continues all rows, decoded together. The rows' results are independent of their company, and
  /// the same with and without a drafter. `on_token(row, id)` is called as tokens come.
  [[nodiscard]] Result<std::vector<Generation>> generate(
      std::span<const GenerateRow> rows, const Cancelled& cancelled = {},
      const std::function<void(std::size_t row, std::int32_t id)>& on_token = {});

  /// Called at least every half second while the device works (a service's heartbeat).
  void set_heartbeat(std::function<void()> heartbeat);

 private:
  struct Impl;
  explicit Engine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// What plan() found.
struct PlanReport {
  std::string device;
  vk::Tier tier = vk::Tier::kBase;
  std::uint32_t context_tokens = 0, max_sequences = 0;
  MemoryPlan memory;
  std::string refusal;  ///< empty: it fits; else the sentence that Engine::load would refuse with
};

/// What Engine::load would need, from the files' headers and the device's description alone: no
/// weights are read and no memory of the device is taken. Errors: as Engine::load, but what does
/// not fit is no error.
[[nodiscard]] Result<PlanReport> plan(const EngineOptions& options);

/// Times of a prompt and of one step of an answer, the least of three.
struct TuneTimes {
  double prefill_ms = 0;
  double step_ms = 0;
};

/// One size tried; the first trial has no field: everything as the table has it.
struct TuneTrial {
  std::string field;
  std::uint32_t value = 0;
  TuneTimes times;
  bool taken = false;  ///< better than everything before it
};

struct TuneResult {
  std::string device;
  std::vector<forward::TunedValue> values;  ///< kept; none where nothing is faster than the table
  std::filesystem::path file;               ///< where
  TuneTimes before, after;
};

/// Loads the model again and again with other sizes of the tuning table, one size after another,
/// and keeps the fastest in options.device.cache_dir, where Engine::load finds them. Drafter,
/// context and sequences of the options are not used; nothing else should use the device
/// meanwhile. Errors: as Engine::load; kInvalidInput without a cache folder; kIo.
[[nodiscard]] Result<TuneResult> tune(const EngineOptions& options,
                                      const std::function<void(const TuneTrial&)>& on_trial = {});

}  // namespace preflight::engine
