#pragma once

#include <cmath>
#include <span>

namespace preflight::reference {

// Sums run in double: the twins' own rounding is then nothing beside the kernels', so a test's
// tolerance is the kernel's alone.

inline double mean(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += v;
  return sum / static_cast<double>(x.size());
}

/// 1 / sqrt(mean(x^2) + epsilon)
inline double inverse_rms(std::span<const float> x, double epsilon) {
  double squares = 0;
  for (const float v : x) squares += double{v} * v;
  return 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
}

/// 1 / sqrt(variance + epsilon), the population's variance.
inline double inverse_deviation(std::span<const float> x, double x_mean, double epsilon) {
  double squares = 0;
  for (const float v : x) squares += (v - x_mean) * (v - x_mean);
  return 1.0 / std::sqrt(squares / static_cast<double>(x.size()) + epsilon);
}

}  // namespace preflight::reference
