#include "engine/scheduler.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/position_keys.h"

namespace preflight::engine {
namespace {

/// One past the last input of the vision block that `at` lies in.
std::size_t block_end(std::span<const Input> inputs, std::size_t at) {
  while (at < inputs.size() && inputs[at].vision) at++;
  return at;
}

}  // namespace

/// How many inputs from `first` go into a step with room for `room` rows: whole blocks only.
Result<std::size_t> Scheduler::fitting(const Work& work, std::size_t first, std::size_t room,
                                       bool step_is_empty) const {
  std::size_t end = std::min(first + room, work.inputs.size());
  if (end == work.inputs.size() || !work.inputs[end].vision || !work.inputs[end - 1].vision)
    return end - first;
  std::size_t begin = end;  // of the block that the border would split
  while (begin > first && work.inputs[begin - 1].vision) begin--;
  if (begin > first || !step_is_empty) return begin - first;
  end = block_end(work.inputs, end);
  if (end - first > plan_.max_rows)
    return fail(ErrorCode::kLimit,
                fmt::format("an image block of {} soft tokens does not fit a step of {} rows",
                            end - first, plan_.max_rows));
  return end - first;
}

Result<std::vector<Scheduler::Piece>> Scheduler::next_pieces(
    std::span<const Work> works, std::span<const std::size_t> done) const {
  std::size_t room = decoder_.chunk_rows();
  std::vector<Piece> pieces;
  for (std::size_t ix = 0; ix < works.size() && room > 0; ix++) {
    if (done[ix] == works[ix].inputs.size()) continue;
    PREFLIGHT_TRY(const std::size_t n, fitting(works[ix], done[ix], room, pieces.empty()));
    if (n == 0) break;  // its block opens the next step
    pieces.push_back({ix, done[ix], n});
    room -= std::min(room, n);
  }
  return pieces;
}

/// Makes room for the pieces in their sequences. After an error all are as they were.
Result<void> Scheduler::extend(std::span<Work> works, std::span<const Piece> pieces) {
  std::vector<kv::PageCopy> copies;
  std::size_t n_extended = 0;
  Result<void> extended;
  for (const Piece& piece : pieces) {
    auto copied =
        works[piece.work].sequence->pages.extend(pools_, static_cast<std::uint32_t>(piece.n));
    if (!copied) {
      extended = tl::unexpected(std::move(copied).error());
      break;
    }
    n_extended++;
    copies.insert(copies.end(), copied->begin(), copied->end());
  }
  // The tables already name the copies, so they are made even if a later sequence found no room.
  if (Result<void> copied = decoder_.copy_pages(copies); !copied) extended = std::move(copied);
  if (!extended) take_back(works, pieces.first(n_extended));
  return extended;
}

void Scheduler::take_back(std::span<Work> works, std::span<const Piece> pieces) {
  for (const Piece& piece : pieces) {
    kv::SequencePages& pages = works[piece.work].sequence->pages;
    pages.truncate(pools_, pages.length() - static_cast<std::uint32_t>(piece.n));
  }
}

Result<std::vector<params::ArgmaxEntry>> Scheduler::run_step(std::span<Work> works,
                                                             std::span<const Piece> pieces,
                                                             forward::Phase phase,
                                                             const forward::HeadRows& head,
                                                             const Cancelled& cancelled) {
  for (const Piece& piece : pieces) {
    const std::size_t length = works[piece.work].sequence->pages.length() + piece.n;
    if (length > plan_.context_tokens)
      return fail(ErrorCode::kLimit, fmt::format("{} positions do not fit the context of {}",
                                                 length, plan_.context_tokens));
  }
  Result<void> extended = extend(works, pieces);
  while (!extended && extended.error().code == ErrorCode::kLimit &&
         prefix_cache_.give_up_oldest(pools_))
    extended = extend(works, pieces);
  PREFLIGHT_TRY_VOID(std::move(extended));

  forward::Step step;
  step.phase = phase;
  for (const Piece& piece : pieces) {
    const Work& work = works[piece.work];
    const kv::SequencePages& pages = work.sequence->pages;
    const auto sequence = static_cast<std::uint32_t>(step.sequences.size());
    const auto base = pages.length() - static_cast<std::uint32_t>(piece.n);
    step.sequences.push_back({pages.sliding(), pages.full()});
    const auto inputs = std::span(work.inputs).subspan(piece.first, piece.n);
    const std::vector<kv::PositionKey> keys = position_keys(inputs, config_.vision_bidirectional);
    for (std::uint32_t i = 0; i < inputs.size(); i++)
      step.rows.push_back({.sequence = sequence,
                           .position = base + i,
                           .rope_position = base + i,
                           .last_visible = base + i + keys[i].reach,
                           .token = inputs[i].token,
                           .soft_row = inputs[i].soft_row});
    work.sequence->keys.resize(base);
    work.sequence->keys.insert(work.sequence->keys.end(), keys.begin(), keys.end());
  }
  auto best = decoder_.run(step, head, cancelled);
  if (!best) {
    take_back(works, pieces);
    return best;
  }
  for (const Piece& piece : pieces)
    if (!works[piece.work].tentative)
      works[piece.work].sequence->pages.release_behind_window(pools_);
  return best;
}

Result<void> Scheduler::run(std::span<Work> works, forward::Phase phase, const HeadOf& head_of,
                            const TakeRows& take_rows, const StepDone& step_done,
                            const Cancelled& cancelled) {
  std::vector<std::size_t> done(works.size(), 0);
  std::vector<std::uint32_t> wanted_done(works.size(), 0);
  for (;;) {
    PREFLIGHT_TRY(const std::vector<Piece> pieces, next_pieces(works, done));
    if (pieces.empty()) return {};
    std::vector<WantedRow> wanted;
    std::uint32_t row = 0;
    for (const Piece& piece : pieces) {
      const Work& work = works[piece.work];
      std::uint32_t& next = wanted_done[piece.work];
      for (; next < work.wanted.size() && work.wanted[next] < piece.first + piece.n; next++)
        wanted.push_back(
            {piece.work, next, row + work.wanted[next] - static_cast<std::uint32_t>(piece.first)});
      row += static_cast<std::uint32_t>(piece.n);
      done[piece.work] += piece.n;
    }
    // The head's first rows go with the step, more than it takes at once behind it.
    std::span<const WantedRow> rest = wanted;
    const auto next_rows = [&] {
      const auto rows = rest.first(std::min<std::size_t>(plan_.max_head_rows, rest.size()));
      rest = rest.subspan(rows.size());
      return rows;
    };
    const auto head = [&](std::span<const WantedRow> rows) {
      return head_of && !rows.empty() ? head_of(rows) : forward::HeadRows{};
    };
    std::span<const WantedRow> rows = next_rows();
    PREFLIGHT_TRY(std::vector<params::ArgmaxEntry> best,
                  run_step(works, pieces, phase, head(rows), cancelled));
    while (!rows.empty()) {
      PREFLIGHT_TRY_VOID(take_rows(rows, best));
      rows = next_rows();
      if (head_of && !rows.empty()) {
        PREFLIGHT_TRY(best, decoder_.head(head(rows)));
      }
    }
    step_done(row);
  }
}

}  // namespace preflight::engine
