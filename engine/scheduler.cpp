#include "engine/scheduler.h"

#include <algorithm>

#include <fmt/format.h>

#include "shaders/params/step.h"

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

Result<void> Scheduler::run_step(std::span<Work> works, std::span<const Piece> pieces,
                                 forward::Phase phase, const Cancelled& cancelled) {
  std::vector<std::uint32_t> lengths;  // to go back to
  std::vector<kv::PageCopy> copies;
  const auto take_back = [&] {
    for (std::size_t i = 0; i < lengths.size(); i++)
      works[pieces[i].work].sequence->pages.truncate(pools_, lengths[i]);
  };

  Result<void> extended;
  for (const Piece& piece : pieces) {
    kv::SequencePages& pages = works[piece.work].sequence->pages;
    const std::uint32_t length = pages.length();
    if (length + piece.n > plan_.context_tokens) {
      extended = fail(ErrorCode::kLimit, fmt::format("{} positions do not fit the context of {}",
                                                     length + piece.n, plan_.context_tokens));
      break;
    }
    auto copied = pages.extend(pools_, static_cast<std::uint32_t>(piece.n));
    if (!copied) {
      extended = tl::unexpected(std::move(copied).error());
      break;
    }
    lengths.push_back(length);
    copies.insert(copies.end(), copied->begin(), copied->end());
  }
  // The tables already name the copies, so they are made even if a later sequence found no room.
  if (Result<void> copied = decoder_.copy_pages(copies); !copied) {
    take_back();
    return copied;
  }
  if (!extended) {
    take_back();
    return extended;
  }

  forward::Step step;
  step.phase = phase;
  for (const Piece& piece : pieces) {
    const Work& work = works[piece.work];
    const kv::SequencePages& pages = work.sequence->pages;
    const auto sequence = static_cast<std::uint32_t>(step.sequences.size());
    const auto base = pages.length() - static_cast<std::uint32_t>(piece.n);
    step.sequences.push_back({pages.sliding(), pages.full()});
    std::size_t end = 0;  // of the block at hand
    for (std::size_t i = 0; i < piece.n; i++) {
      const Input& input = work.inputs[piece.first + i];
      const auto position = base + static_cast<std::uint32_t>(i);
      std::uint32_t last_visible = position;
      if (input.vision && config_.vision_bidirectional) {
        if (end <= piece.first + i) end = block_end(work.inputs, piece.first + i);
        last_visible = base + static_cast<std::uint32_t>(end - piece.first) - 1;
      }
      step.rows.push_back({.sequence = sequence,
                           .position = position,
                           .rope_position = position,
                           .last_visible = last_visible,
                           .token = input.token,
                           .soft_row = input.soft_row});
    }
  }
  if (Result<void> ran = decoder_.run(step, cancelled); !ran) {
    take_back();
    return ran;
  }
  for (const Piece& piece : pieces)
    if (!works[piece.work].tentative)
      works[piece.work].sequence->pages.release_behind_window(pools_);
  return {};
}

Result<void> Scheduler::run(std::span<Work> works, forward::Phase phase, const TakeRows& take_rows,
                            const StepDone& step_done, const Cancelled& cancelled) {
  std::vector<std::size_t> done(works.size(), 0);
  std::vector<std::uint32_t> wanted_done(works.size(), 0);
  for (;;) {
    PREFLIGHT_TRY(const std::vector<Piece> pieces, next_pieces(works, done));
    if (pieces.empty()) return {};
    PREFLIGHT_TRY_VOID(run_step(works, pieces, phase, cancelled));

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
    for (std::size_t first = 0; first < wanted.size(); first += plan_.max_head_rows)
      PREFLIGHT_TRY_VOID(take_rows(std::span(wanted).subspan(
          first, std::min<std::size_t>(plan_.max_head_rows, wanted.size() - first))));
    step_done(row);
  }
}

}  // namespace preflight::engine
