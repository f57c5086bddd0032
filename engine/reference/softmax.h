#pragma once

#include <cstdint>
#include <span>

#include "shaders/params/softmax.h"

namespace preflight::reference {

/// Twin of shaders/softmax.comp, both passes, with sums in float64. logits f32 [..,
/// p.logits_stride]; tokens u32 [queries.size(), params::kSoftmaxTokens]; sums [queries.size()];
/// picked f32 [queries.size(), params::kSoftmaxTokens], of which each query's n_tokens are written.
void softmax(std::span<const float> logits, std::span<const params::SoftmaxQuery> queries,
             std::span<const std::uint32_t> tokens, std::span<params::SoftmaxSum> sums,
             std::span<float> picked, const params::SoftmaxParams& p);

}  // namespace preflight::reference
