#pragma once

#include <array>
#include <cstdint>

namespace preflight::vk {

/// The linker's build id of the running program (its first 20 bytes, zero filled): another build,
/// another id. All zero where the program carries none.
[[nodiscard]] std::array<std::uint8_t, 20> build_id();

}  // namespace preflight::vk
