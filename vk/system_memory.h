#pragma once

#include <cstdint>
#include <optional>

namespace preflight::vk {

/// Bytes that this process may still take from the system without swapping: the smaller of
/// MemAvailable and what the control groups above the process leave. Nothing where /proc does not
/// say.
[[nodiscard]] std::optional<std::uint64_t> available_system_memory_bytes();

}  // namespace preflight::vk
