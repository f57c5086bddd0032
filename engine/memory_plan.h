#pragma once

#include <cstdint>
#include <optional>

#include "engine/engine.h"
#include "engine/forward/arena.h"
#include "engine/forward/tuning.h"
#include "engine/model/drafter_file.h"
#include "engine/model/model_file.h"
#include "vk/device.h"
#include "vk/error.h"

namespace preflight::engine {

/// Staging memory for writes to a device whose memory the host does not see.
inline constexpr std::uint64_t kStagingBytes = 64u << 20;

/// What a model would take on a device and how it would run there, from the files' headers and the
/// device's description alone; nothing is allocated.
struct LoadPlan {
  vk::Tier tier = vk::Tier::kBase;
  bool act16 = false, kv16 = true;
  forward::Tuning tuning;
  forward::ArenaPlan arena;  ///< with the context in whole pages
  MemoryPlan memory;
};

/// Errors: kInvalidInput for options out of range.
[[nodiscard]] Result<void> check_options(const EngineOptions& options);

/// `drafter` may be null. The budget is the description's. Errors: kUnsupported (sizes or a tier
/// without kernels), kLimit (pages that the device's bindings cannot see).
[[nodiscard]] Result<LoadPlan> plan_load(const model::ModelFile& file,
                                         const model::DrafterFile* drafter,
                                         const vk::DeviceDescription& device,
                                         const EngineOptions& options);

/// Refuses a plan that is larger than its budget: both figures, and the context that would fit.
[[nodiscard]] Result<void> check_budget(const LoadPlan& plan, const model::ModelConfig& config,
                                        const vk::DeviceDescription& device,
                                        const EngineOptions& options);

/// Opens the drafter of the options and checks that it belongs to the model; nothing where the
/// options name none.
[[nodiscard]] Result<std::optional<model::DrafterFile>> open_drafter(
    const EngineOptions& options, const model::ModelConfig& target);

}  // namespace preflight::engine
