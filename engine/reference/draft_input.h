#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/draft.h"

namespace preflight::reference {

/// Twin of shaders/draft_input.comp. embedding f32 [rows.size(), p.target_dim], hidden f32 [*,
/// p.target_dim], x f32 [rows.size(), 2 * p.target_dim]; strides in groups of 4 values.
void draft_input(std::span<const float> embedding, std::span<const float> hidden,
                 std::span<const std::uint32_t> rows, std::span<float> x,
                 const params::DraftInputParams& p);

}  // namespace preflight::reference
