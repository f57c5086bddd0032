#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/generate/constraint.h"
#include "engine/model/model_config.h"
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
  vk::DeviceOptions device;
  std::optional<vk::Tier> tier;  ///< default: what the tuning table says for the device
  KvFormat kv = KvFormat::kF16;
  /// Positions that all open sequences may hold together (shared pages count once).
  std::uint32_t context_tokens = 16384;
  std::uint32_t max_sequences = 16;
};

/// What loading would need and what it found; in bytes.
struct MemoryPlan {
  std::uint64_t weights_bytes = 0;
  std::uint64_t pages_bytes = 0;
  std::uint64_t arena_bytes = 0;
  std::uint64_t staging_bytes = 0;
  std::uint64_t budget_bytes = 0;
  [[nodiscard]] std::uint64_t total_bytes() const {
    return weights_bytes + pages_bytes + arena_bytes + staging_bytes;
  }
};

/// Rows that enter the first decoder layer in place of token embeddings (docs/model.md, soft tokens):
/// f32 [n_tokens, model_dim].
struct SoftTokens {
  std::uint32_t n_tokens = 0;
  std::vector<float> rows;
};

/// One position of a sequence: a token, or a soft token standing at a placeholder id.
struct Input {
  std::int32_t token = 0;           ///< the id; for a soft token the placeholder's
  const float* soft_row = nullptr;  ///< f32 [model_dim], read during the call; null for a token
  bool vision = false;              ///< a run of these is one block that attends both ways
};

/// An open sequence. Valid until close(); forks are sequences of their own.
enum class SequenceId : std::uint32_t {};

struct GenerateRow {
  SequenceId sequence{};
  /// The answer's constraint at its start; empty: free text until a stop token.
  std::optional<generate::ConstraintState> constraint;
  std::uint32_t max_tokens = 256;
};

/// A choice between literals that the answer passed through.
struct ChoiceReading {
  std::size_t text_offset_bytes = 0;  ///< where in Generation::text the literal begins
  std::vector<std::string> literals;
  std::vector<double> probabilities;  ///< of each literal, softmax over the whole vocabulary
  double outside = 0;                 ///< mass of everything the schema forbids here
  double margin = 0;                  ///< gap of the two best logits at the choice
  std::size_t taken = 0;
};

enum class FinishReason { kStop, kLength, kSchema, kCancelled };

struct Generation {
  std::vector<std::int32_t> ids;  ///< with the stop token, where one ended it
  std::string text;               ///< special tokens kept, the stop token left out
  FinishReason finish_reason = FinishReason::kLength;
  std::uint32_t n_forced_tokens = 0;
  std::vector<ChoiceReading> choices;
};

/// Work done since the engine was loaded; differences give a pass's share.
struct Meter {
  std::uint64_t prefilled_tokens = 0;
  std::uint64_t generated_tokens = 0;
  std::uint64_t forced_tokens = 0;
  std::uint64_t narrow_steps = 0;  ///< steps of at most kMaxNarrowRows rows
  std::uint64_t wide_steps = 0;
  double prefill_seconds = 0;
  double generate_seconds = 0;
};

inline constexpr std::uint32_t kMaxNarrowRows = 32;

/// Called between submissions; return true to stop with ErrorCode::kCancelled.
using Cancelled = std::function<bool()>;
/// Prefilled so far, and in all, of the call.
using Progress = std::function<void(std::uint64_t done_tokens, std::uint64_t total_tokens)>;

/// One model on one device. Not thread-safe: one thread owns it. After kDeviceLost every further call
/// fails the same way; load again and replay.
class Engine {
 public:
  /// Reads the files, computes the memory needed and refuses with both figures if it does not fit,
  /// lays the weights out on the device and checks the device against the CPU twins.
  [[nodiscard]] static Result<std::unique_ptr<Engine>> load(const EngineOptions& options);

  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  [[nodiscard]] virtual const model::ModelConfig& config() const = 0;
  [[nodiscard]] virtual const model::SpecialTokens& special_tokens() const = 0;
  [[nodiscard]] virtual const text::Tokenizer& tokenizer() const = 0;
  [[nodiscard]] virtual const vk::DeviceDescription& device() const = 0;
  [[nodiscard]] virtual vk::Tier tier() const = 0;
  [[nodiscard]] virtual KvFormat kv_format() const = 0;
  [[nodiscard]] virtual const MemoryPlan& memory_plan() const = 0;
  [[nodiscard]] virtual std::uint64_t peak_device_bytes() const = 0;
  [[nodiscard]] virtual std::string model_digest() const = 0;
  [[nodiscard]] virtual const Meter& meter() const = 0;

  /// patches f32 [columns*rows, 6912] -> soft tokens in the same raster order.
  [[nodiscard]] virtual Result<SoftTokens> embed_image(const media::ImagePatches& image) = 0;
  /// samples at 16 kHz, mono; the last frame of 640 is padded with zeros.
  [[nodiscard]] virtual Result<SoftTokens> embed_audio(std::span<const float> samples) = 0;

  [[nodiscard]] virtual Result<SequenceId> open() = 0;
  /// A sequence with the same content; complete pages are shared, the last one is copied when written.
  [[nodiscard]] virtual Result<SequenceId> fork(SequenceId sequence) = 0;
  virtual void close(SequenceId sequence) = 0;
  [[nodiscard]] virtual std::uint32_t length(SequenceId sequence) const = 0;

  /// Appends inputs. The last one stays pending: its row is computed by the next call that needs it,
  /// so generation starts without reading anything twice. A vision block must lie whole in one call.
  [[nodiscard]] virtual Result<void> prefill(SequenceId sequence, std::span<const Input> inputs,
                                             const Progress& progress = {},
                                             const Cancelled& cancelled = {}) = 0;
  /// Appends inputs to every sequence, several sequences in one step. sequences.size() ==
  /// inputs.size().
  [[nodiscard]] virtual Result<void> prefill_many(std::span<const SequenceId> sequences,
                                                  std::span<const std::vector<Input>> inputs,
                                                  const Cancelled& cancelled = {}) = 0;
  /// Appends inputs and hands over the capped logits f32 [vocab_size] of the wanted indices into
  /// `inputs` (ascending), before suppression. Nothing stays pending.
  [[nodiscard]] virtual Result<void> logits(
      SequenceId sequence, std::span<const Input> inputs, std::span<const std::uint32_t> wanted,
      const std::function<void(std::uint32_t index, std::span<const float>)>& take) = 0;

  /// Greedy continuation of all rows, decoded together. The rows' results are independent of their
  /// company. `on_token(row, id)` is called as tokens come.
  [[nodiscard]] virtual Result<std::vector<Generation>> generate(
      std::span<const GenerateRow> rows, const Cancelled& cancelled = {},
      const std::function<void(std::size_t row, std::int32_t id)>& on_token = {}) = 0;

  /// Called at least every half second while the device works (a service's heartbeat).
  virtual void set_heartbeat(std::function<void()> heartbeat) = 0;

 protected:
  Engine() = default;
};

}  // namespace preflight::engine
