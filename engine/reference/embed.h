#pragma once

#include <span>

#include "shaders/params/embed.h"

namespace preflight::reference {

/// Twin of shaders/embed.comp. table f32 [p.n_tokens, p.model_dim], decoded: the rows of ids
/// p.first_token on; soft f32 [*, p.model_dim]; h f32, rows p.h_stride apart, one for each of
/// `infos`. Rows of other parts' tokens are left alone.
void embed(std::span<const float> table, std::span<const params::RowInfo> infos,
           std::span<const float> soft, std::span<float> h, const params::EmbedParams& p);

}  // namespace preflight::reference
