#pragma once

#include <filesystem>
#include <span>
#include <vector>

#include "engine/forward/tuning.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::forward {

// What was measured on a device lies beside its pipeline cache and holds as long as device, driver
// and kernels are the same.

/// The values kept for a device; none where nothing was measured. A file that does not fit is left
/// out, with one line on stderr that says why. `cache_dir` may be empty.
[[nodiscard]] std::vector<TunedValue> read_tuned(const std::filesystem::path& cache_dir,
                                                 const vk::DeviceDescription& device);
/// Where the values lie now. Errors: kIo.
[[nodiscard]] Result<std::filesystem::path> write_tuned(const std::filesystem::path& cache_dir,
                                                        const vk::DeviceDescription& device,
                                                        std::span<const TunedValue> values);

}  // namespace preflight::forward
