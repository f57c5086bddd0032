#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "engine/forward/arena.h"
#include "engine/forward/decoder.h"
#include "engine/forward/step.h"
#include "engine/kv/prefix_cache.h"
#include "engine/kv/sequence_pages.h"

namespace preflight::engine {

/// An input that outlives the call it came with.
struct PendingInput {
  std::int32_t token = 0;
  std::vector<float> soft_row;  ///< empty: a token
  kv::MediumKey medium{};
  std::uint32_t medium_index = 0;
};

/// An open sequence: its cache, and inputs whose rows nobody has needed yet.
struct Sequence {
  kv::SequencePages pages;
  std::vector<kv::PositionKey> keys;  ///< of what the pages hold; what is beyond them is void
  std::vector<PendingInput> pending;
};

/// Inputs to append to one sequence, and the rows among them whose logits are wanted.
struct Work {
  Sequence* sequence = nullptr;
  std::vector<Input> inputs;
  std::vector<std::uint32_t> wanted;  ///< indices into `inputs`, ascending
  /// The last inputs may be taken back: the window of what stands before them is kept, and the
  /// caller releases what is behind it.
  bool tentative = false;
};

/// A row whose logits are wanted, after the step that computed it.
struct WantedRow {
  std::size_t work = 0;      ///< which Work
  std::uint32_t wanted = 0;  ///< which of its wanted rows
  std::uint32_t row = 0;     ///< which row of the step
};

/// Packs inputs of several sequences into steps and runs them. Chunks never split a vision block.
/// Where pages are short, bookmarks are given up for them.
/// After an error or a cancellation every sequence holds what it held before the failing step.
class Scheduler {
 public:
  /// What the head is to do for wanted rows of a step that is about to run.
  using HeadOf = std::function<forward::HeadRows(std::span<const WantedRow>)>;
  /// Called behind the step with the same rows and the head's tokens.
  using TakeRows =
      std::function<Result<void>(std::span<const WantedRow>, std::span<const params::ArgmaxEntry>)>;
  /// Called after each step with the number of its rows.
  using StepDone = std::function<void(std::uint32_t n_rows)>;

  Scheduler(forward::Decoder& decoder, kv::Pools& pools, kv::PrefixCache& prefix_cache,
            const model::ModelConfig& config, const forward::ArenaPlan& plan)
      : decoder_(decoder),
        pools_(pools),
        prefix_cache_(prefix_cache),
        config_(config),
        plan_(plan) {}

  /// Without `head_of` no head runs, and rows are taken without tokens.
  [[nodiscard]] Result<void> run(std::span<Work> works, forward::Phase phase, const HeadOf& head_of,
                                 const TakeRows& take_rows, const StepDone& step_done,
                                 const Cancelled& cancelled);

 private:
  /// A stretch of one Work's inputs that goes into the next step.
  struct Piece {
    std::size_t work;
    std::size_t first, n;
  };
  Result<std::vector<Piece>> next_pieces(std::span<const Work> works,
                                         std::span<const std::size_t> done) const;
  Result<std::size_t> fitting(const Work& work, std::size_t first, std::size_t room,
                              bool step_is_empty) const;
  Result<void> extend(std::span<Work> works, std::span<const Piece> pieces);
  void take_back(std::span<Work> works, std::span<const Piece> pieces);
  Result<std::vector<params::ArgmaxEntry>> run_step(std::span<Work> works,
                                                    std::span<const Piece> pieces,
                                                    forward::Phase phase,
                                                    const forward::HeadRows& head,
                                                    const Cancelled& cancelled);

  forward::Decoder& decoder_;
  kv::Pools& pools_;
  kv::PrefixCache& prefix_cache_;
  const model::ModelConfig& config_;
  const forward::ArenaPlan& plan_;
};

}  // namespace preflight::engine
