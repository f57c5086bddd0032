#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace preflight::generate {

/// Measured milliseconds of narrow steps by their number of rows.
class StepCosts {
 public:
  static constexpr std::uint32_t kMaxRows = 32;

  /// The first measurement of a size is left out: that run recorded commands and filled caches.
  void add(std::uint32_t n_rows, double ms);

  /// Expected cost; nothing before anything was measured. Between measured sizes a straight line;
  /// above them that of the last two, or, where there is one, its cost: a reading of the weights
  /// serves more rows for free until a measurement says otherwise. Old measurements do not count.
  [[nodiscard]] std::optional<double> estimate(std::uint32_t n_rows) const;
  /// The most rows measured of late; 0: none.
  [[nodiscard]] std::uint32_t most_rows() const;

 private:
  struct Entry {
    double ms = 0;
    std::uint32_t n_samples = 0;
    std::uint64_t measured_at = 0;  ///< in measurements of all sizes
  };
  /// After so many measurements of other sizes one is forgotten, so that a size that once was
  /// measured on a busy machine gets another chance.
  static constexpr std::uint64_t kForgetAfter = 128;

  [[nodiscard]] bool known(const Entry& entry) const;

  std::array<Entry, kMaxRows + 1> entries_{};
  std::uint64_t n_measured_ = 0;
};

}  // namespace preflight::generate
