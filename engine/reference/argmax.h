#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/argmax.h"

namespace preflight::reference {

/// Twin of shaders/argmax.comp, both passes. logits f32 [rows, p.logits_stride]; mask u32 [rows,
/// p.mask_stride]; best [rows]: of equal logits the lowest token, params::kNoToken where the mask
/// allows none.
void argmax(std::span<const float> logits, std::span<const std::uint32_t> mask,
            std::span<params::ArgmaxEntry> best, const params::ArgmaxParams& p);

}  // namespace preflight::reference
