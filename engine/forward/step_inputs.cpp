#include "engine/forward/step_inputs.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "engine/forward/attention_op.h"
#include "shaders/params/step.h"

namespace preflight::forward {
namespace {

/// Cosine and sine of position * inv_freq for the first n_rotated pairs. The angle is a float32
/// product, as in the reference; its functions are exact to float32, which a GPU's are not.
void write_rope(std::span<float> out, std::uint32_t position, std::span<const float> inv_freq) {
  for (std::size_t i = 0; i < inv_freq.size(); i++) {
    const double angle = static_cast<float>(position) * inv_freq[i];
    out[2 * i] = static_cast<float>(std::cos(angle));
    out[2 * i + 1] = static_cast<float>(std::sin(angle));
  }
}

}  // namespace

void write_step(Arena& arena, const ArenaPlan& plan, const model::ModelConfig& config,
                const Step& step) {
  const auto tables = host_values<std::uint32_t>(arena.page_tables);
  std::vector<std::pair<std::uint32_t, std::uint32_t>> table_of(step.sequences.size());
  std::uint32_t at = 0;
  for (std::size_t s = 0; s < step.sequences.size(); s++) {
    const StepSequence& sequence = step.sequences[s];
    table_of[s].first = at;
    std::copy(sequence.sliding.begin(), sequence.sliding.end(), tables.begin() + at);
    at += static_cast<std::uint32_t>(sequence.sliding.size());
    table_of[s].second = at;
    std::copy(sequence.full.begin(), sequence.full.end(), tables.begin() + at);
    at += static_cast<std::uint32_t>(sequence.full.size());
    PREFLIGHT_ASSERT(at <= tables.size());
  }

  const auto infos = host_values<params::RowInfo>(arena.row_infos);
  const auto soft = host_values<float>(arena.soft);
  const auto sliding_rope = host_values<float>(arena.sliding_rope);
  const auto full_rope = host_values<float>(arena.full_rope);
  std::uint32_t n_soft = 0;
  for (std::size_t r = 0; r < step.rows.size(); r++) {
    const StepRow& row = step.rows[r];
    params::RowInfo info{.position = row.position,
                         .last_visible = row.last_visible,
                         .sliding_pages = table_of[row.sequence].first,
                         .full_pages = table_of[row.sequence].second,
                         .token = row.token,
                         .soft_row = params::kNoSoftRow,
                         .tile_first = 0,
                         .tile_rows = 0};
    if (row.soft_row != nullptr) {
      std::copy_n(row.soft_row, config.model_dim,
                  soft.begin() + static_cast<std::ptrdiff_t>(n_soft) * config.model_dim);
      info.soft_row = n_soft++;
    }
    infos[r] = info;
    const auto rope = [&](std::span<float> out, const AttentionLayout& layout,
                          const std::vector<float>& inv_freq) {
      if (layout.n_rotated == 0) return;
      write_rope(out.subspan(2 * r * layout.n_rotated, std::size_t{2} * layout.n_rotated),
                 row.rope_position, std::span(inv_freq).first(layout.n_rotated));
    };
    rope(sliding_rope, plan.sliding, config.sliding_inv_freq);
    rope(full_rope, plan.full, config.full_inv_freq);
  }
  write_row_tiles(infos.first(step.rows.size()),
                  [&](std::uint32_t row) { return step.rows[row].sequence; });
}

void write_mask(Arena& arena, std::uint32_t head_row, const TokenMask& mask) {
  if (arena.masks_held.size() <= head_row) arena.masks_held.resize(head_row + 1);
  // What is held lives on, so an equal address is the same mask.
  if (std::exchange(arena.masks_held[head_row], mask) == mask) return;
  std::copy(mask->begin(), mask->end(),
            host_values<std::uint32_t>(arena.masks).begin() +
                static_cast<std::ptrdiff_t>(head_row * mask->size()));
}

}  // namespace preflight::forward
