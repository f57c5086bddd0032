#include "engine/forward/segments.h"

#include <algorithm>

namespace preflight::forward {

Result<SegmentCache::Recorded*> SegmentCache::find(std::uint32_t n_rows, Phase phase,
                                                   const Record& record) {
  const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Recorded& kept) {
    return kept.n_rows == n_rows && kept.phase == phase;
  });
  if (found != kept_.end()) {
    kept_.splice(kept_.begin(), kept_, found);
    return &kept_.front();
  }
  PREFLIGHT_TRY(std::vector<vk::CommandList> segments, record());
  kept_.push_front(
      {.n_rows = n_rows, .phase = phase, .segments = std::move(segments), .segment_ms = 0});
  if (kept_.size() > kKept) kept_.pop_back();
  return &kept_.front();
}

Result<void> SegmentCache::run(vk::Submitter& submitter, std::uint32_t n_rows, Phase phase,
                               const Record& record, const std::function<bool()>& cancelled) {
  PREFLIGHT_TRY(Recorded* const recorded, find(n_rows, phase, record));
  const std::size_t n = recorded->segments.size();
  // Unmeasured work goes segment by segment.
  const double expected_ms = recorded->segment_ms;
  const std::size_t per_submission =
      expected_ms <= 0
          ? 1
          : static_cast<std::size_t>(std::clamp(submission_ms_ / expected_ms, 1.0, 1000.0));

  double total_ms = 0;
  std::vector<const vk::CommandList*> lists;
  for (std::size_t first = 0; first < n; first += per_submission) {
    if (cancelled && cancelled()) return fail(ErrorCode::kCancelled, "cancelled");
    lists.clear();
    for (std::size_t i = first; i < std::min(n, first + per_submission); i++)
      lists.push_back(&recorded->segments[i]);
    PREFLIGHT_TRY(const double ms, submitter.run(lists));
    total_ms += ms;
  }
  recorded->segment_ms = total_ms / static_cast<double>(n);
  if (n_rows >= widest_rows_) {
    widest_rows_ = n_rows;
    segment_ms_per_row_ = recorded->segment_ms / n_rows;
  }
  return {};
}

}  // namespace preflight::forward
