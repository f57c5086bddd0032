#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "engine/drafting.h"
#include "engine/engine.h"
#include "engine/forward/arena.h"
#include "engine/forward/decoder.h"
#include "engine/forward/drafter.h"
#include "engine/forward/drafter_weights.h"
#include "engine/forward/embedders.h"
#include "engine/forward/kernels.h"
#include "engine/forward/model_weights.h"
#include "engine/forward/self_test.h"
#include "engine/kv/prefix_cache.h"
#include "engine/model/drafter_file.h"
#include "engine/model/model_file.h"
#include "engine/scheduler.h"
#include "vk/device.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::engine {

/// The loaded engine. Members are in the order of their making; each later one may point into the
/// earlier ones, so the object stays where it was made.
struct Engine::Impl {
  Impl(model::ModelFile opened_file, text::Tokenizer made_tokenizer,
       std::shared_ptr<const generate::Vocabulary> made_vocabulary, vk::Device made_device,
       vk::Submitter made_submitter, vk::Uploader made_uploader)
      : file(std::move(opened_file)),
        tokenizer(std::move(made_tokenizer)),
        vocabulary(std::move(made_vocabulary)),
        device(std::move(made_device)),
        submitter(std::move(made_submitter)),
        uploader(std::move(made_uploader)) {}

  model::ModelFile file;
  text::Tokenizer tokenizer;
  std::shared_ptr<const generate::Vocabulary> vocabulary;
  vk::Device device;
  vk::Submitter submitter;
  vk::Uploader uploader;

  forward::ArenaPlan plan;
  MemoryPlan memory;
  vk::Tier tier = vk::Tier::kBase;
  KvFormat kv = KvFormat::kF16;
  std::optional<forward::ModelWeights> weights;
  std::optional<forward::Arena> arena;
  std::optional<forward::Kernels> kernels;
  std::unique_ptr<forward::Embedders> embedders;
  std::unique_ptr<forward::Decoder> decoder;
  // The drafter's, where one was given.
  std::optional<model::DrafterFile> drafter_file;
  std::optional<forward::DrafterWeights> drafter_weights;
  std::unique_ptr<forward::Drafter> drafter;
  std::optional<Drafting> drafting;  ///< with or without a drafter
  std::optional<kv::Pools> pools;
  std::optional<kv::PrefixCache> prefix_cache;
  std::optional<Scheduler> scheduler;

  std::unordered_map<std::uint32_t, Sequence> sequences;
  std::uint32_t next_sequence = 1;
  std::uint32_t max_sequences = 0;
  Meter meter;
  /// Tokens that free text may end in or consist of: all but the suppressed and the placeholders.
  forward::TokenMask free_text_mask;

  [[nodiscard]] forward::SelfTestSubject self_test_subject();
  Result<void> load_drafter();
  [[nodiscard]] const model::ModelConfig& config() const { return file.config(); }
  Sequence& at(SequenceId id);
  /// The sequence's pending inputs, then `more`. What is pending stays owned by the sequence.
  [[nodiscard]] Work work_of(SequenceId id, std::span<const Input> more);
  Result<void> check_inputs(std::span<const Input> inputs) const;
  Result<void> append(std::span<Work> works, const Progress& progress, const Cancelled& cancelled);
};

/// Adds the seconds of its scope to a meter's figure.
class Stopwatch {
 public:
  explicit Stopwatch(double& seconds) : seconds_(seconds) {}
  ~Stopwatch() {
    seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& seconds_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace preflight::engine
