#pragma once

#include "vk/error.h"

namespace preflight::bench {

class Bench;

/// Which of the device's rates a kernel's operations are held against.
enum class Arithmetic { kFma, kDot, kCoopmat };

/// What the device can do, measured in the same run as everything that is held against it.
struct Limits {
  double copy_gb_per_s = 0;    ///< vkCmdCopyBuffer, bytes read plus bytes written
  double read_gb_per_s = 0;    ///< read.comp: 16-byte loads, side by side
  double fma_gflop_per_s = 0;  ///< fma.comp: dense float32 multiply-adds
  double dot_gop_per_s = 0;    ///< dot.comp: dense dot products of four bytes; 0: not in the tier
  double coopmat_gflop_per_s =
      0;  ///< coopmat.comp: dense products of fragments; 0: not in the tier

  /// Giga operations per second.
  [[nodiscard]] double of(Arithmetic arithmetic) const;
  /// Kernels mostly read; what a copy moves is at least there to be read.
  [[nodiscard]] double gb_per_s() const {
    return copy_gb_per_s > read_gb_per_s ? copy_gb_per_s : read_gb_per_s;
  }
};

[[nodiscard]] Result<Limits> measure_limits(Bench& bench);

}  // namespace preflight::bench
