#pragma once

#include <string_view>

#include "vk/device.h"

namespace preflight::vk {

/// llvmpipe computes with vectors of 256 bits, also where the processor has 512, unless its
/// environment says LP_NATIVE_VECTOR_WIDTH. With 512, products take 0.7 to 0.8 of the processor
/// time on a Xeon (26.1, measured); version 22.3 takes 1.8 times as long instead and is left alone.
/// True where the environment of the process now asks for them, once: the driver reads it when it
/// is loaded, so every instance must end and a new one begin. What the user has set stays.
[[nodiscard]] bool ask_for_wide_vectors(const DeviceDescription& chosen);

/// Whether part of a device's name speaks of the 256 bits that a wider driver's name has not.
[[nodiscard]] bool names_narrow_vectors(std::string_view name_contains);

}  // namespace preflight::vk
