#pragma once

#include <vector>

#include "bench/model/options.h"
#include "bench/model/results.h"
#include "vk/error.h"

namespace preflight::bench {

/// What the device can do (bench/kernels/limits.h): GB/s of copies and reads, GFLOP/s of float32
/// multiply-adds and, in tier coopmat, of cooperative matrices; and GB/s that arrive on it through
/// a ring of staging memory. Takes two buffers of up to 1 GiB.
[[nodiscard]] Result<std::vector<Figure>> measure_device(const Subject& subject,
                                                         const ModelOptions& options);

/// GB/s of the model's file, read piece by piece on every processor at once, as often as the
/// figures have repeats: all but the first time from the system's cache, if it fits.
[[nodiscard]] Result<std::vector<Figure>> measure_file(const ModelOptions& options);

}  // namespace preflight::bench
