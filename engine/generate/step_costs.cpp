#include "engine/generate/step_costs.h"

#include <algorithm>

namespace preflight::generate {

bool StepCosts::known(const Entry& entry) const {
  return entry.n_samples > 1 && n_measured_ - entry.measured_at <= kForgetAfter;
}

void StepCosts::add(std::uint32_t n_rows, double ms) {
  if (n_rows == 0 || n_rows > kMaxRows) return;
  Entry& entry = entries_[n_rows];
  n_measured_++;
  entry.n_samples++;
  if (entry.n_samples == 1) return;
  // A running mean in which one interruption by other work weighs little.
  constexpr double kShare = 0.25;
  const bool fresh = entry.n_samples > 2 && n_measured_ - entry.measured_at <= kForgetAfter;
  entry.ms = fresh ? entry.ms + kShare * (std::min(ms, 2 * entry.ms) - entry.ms) : ms;
  entry.measured_at = n_measured_;
}

std::uint32_t StepCosts::most_rows() const {
  for (std::uint32_t rows = kMaxRows; rows > 0; rows--)
    if (known(entries_[rows])) return rows;
  return 0;
}

std::optional<double> StepCosts::estimate(std::uint32_t n_rows) const {
  std::uint32_t below = 0;         // the largest known size up to n_rows
  std::uint32_t second_below = 0;  // the one before it
  std::uint32_t above = 0;         // the smallest known size from n_rows on
  for (std::uint32_t rows = 1; rows <= kMaxRows; rows++) {
    if (!known(entries_[rows])) continue;
    if (rows <= n_rows) {
      second_below = below;
      below = rows;
    }
    if (rows >= n_rows && above == 0) above = rows;
  }
  if (below == 0 && above == 0) return std::nullopt;
  if (below == 0 || below == n_rows) return entries_[below == 0 ? above : below].ms;
  const Entry& low = entries_[below];
  const auto line = [&](std::uint32_t other) {
    const double slope =
        (entries_[other].ms - low.ms) / (static_cast<double>(other) - static_cast<double>(below));
    return low.ms + std::max(slope, 0.0) * (n_rows - below);
  };
  if (above != 0) return line(above);
  return second_below == 0 ? low.ms : line(second_below);
}

}  // namespace preflight::generate
