#include "engine/forward/segments.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

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
                               const Record& record, const std::function<bool()>& cancelled,
                               std::span<Recorded* const> behind) {
  PREFLIGHT_TRY(Recorded* const recorded, find(n_rows, phase, record));
  struct Part {
    Recorded* recorded;
    double taken_ms = 0;
  };
  std::vector<Part> parts = {{recorded}};
  for (Recorded* const part : behind) parts.push_back({part});
  struct Segment {
    const vk::CommandList* list;
    Part* part;
  };
  std::vector<Segment> segments;
  for (Part& part : parts)
    for (const vk::CommandList& list : part.recorded->segments) segments.push_back({&list, &part});

  std::vector<const vk::CommandList*> lists;
  for (std::size_t first = 0; first < segments.size(); first += lists.size()) {
    if (cancelled && cancelled()) return fail(ErrorCode::kCancelled, "cancelled");
    lists.clear();
    double expected_ms = 0;
    for (const Segment& segment : std::span(segments).subspan(first)) {
      // Unmeasured work goes segment by segment.
      const double segment_ms = segment.part->recorded->segment_ms;
      const bool together =
          expected_ms > 0 && segment_ms > 0 && expected_ms + segment_ms <= submission_ms_;
      if (!lists.empty() && !together) break;
      lists.push_back(segment.list);
      expected_ms += segment_ms;
    }
    PREFLIGHT_TRY(const double ms, submitter.run(lists));
    // What was expected of each tells its share.
    for (const Segment& segment : std::span(segments).subspan(first, lists.size()))
      segment.part->taken_ms +=
          expected_ms > 0 ? ms * segment.part->recorded->segment_ms / expected_ms : ms;
  }
  for (const Part& part : parts)
    part.recorded->segment_ms = part.taken_ms / static_cast<double>(part.recorded->segments.size());
  if (n_rows >= widest_rows_) {
    widest_rows_ = n_rows;
    segment_ms_per_row_ = recorded->segment_ms / n_rows;
  }
  return {};
}

}  // namespace preflight::forward
