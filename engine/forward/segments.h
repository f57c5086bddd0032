#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <span>
#include <vector>

#include "engine/forward/step.h"
#include "vk/commands.h"
#include "vk/error.h"
#include "vk/submit.h"

namespace preflight::forward {

/// Recorded work of one shape (a number of rows, and what they are for): segments that are replayed
/// in order, grouped into submissions by the time they were measured to take, so that none runs
/// long enough to meet a driver's watchdog or to freeze a desktop.
class SegmentCache {
 public:
  using Record = std::function<Result<std::vector<vk::CommandList>>()>;
  struct Recorded {
    std::uint32_t n_rows = 0;
    Phase phase = Phase::kPrefill;
    std::vector<vk::CommandList> segments;
    double segment_ms = 0;  ///< mean of the last run; 0: not measured
  };

  explicit SegmentCache(double submission_ms) : submission_ms_(submission_ms) {}

  /// The segments of `n_rows` in `phase`, recorded if need be; valid until the next find or run.
  [[nodiscard]] Result<Recorded*> find(std::uint32_t n_rows, Phase phase, const Record& record);

  /// Runs the segments of `n_rows` in `phase`, then those of `behind`, which other caches found,
  /// together where a submission holds them. `cancelled` is asked between submissions; may be
  /// empty.
  [[nodiscard]] Result<void> run(vk::Submitter& submitter, std::uint32_t n_rows, Phase phase,
                                 const Record& record, const std::function<bool()>& cancelled,
                                 std::span<Recorded* const> behind = {});

  /// Milliseconds of the longest segment of the widest shape run so far, per row; 0 before any.
  [[nodiscard]] double segment_ms_per_row() const { return segment_ms_per_row_; }

 private:
  /// Shapes kept: decode uses one, prefill two (a chunk and its rest), a batch shrinks row by row.
  static constexpr std::size_t kKept = 40;

  double submission_ms_;
  double segment_ms_per_row_ = 0;
  std::uint32_t widest_rows_ = 0;
  std::list<Recorded> kept_;  ///< last used first
};

}  // namespace preflight::forward
