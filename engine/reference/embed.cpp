#include "engine/reference/embed.h"

#include <algorithm>

namespace preflight::reference {

void embed(std::span<const float> table, std::span<const params::RowInfo> infos,
           std::span<const float> soft, std::span<float> h, const params::EmbedParams& p) {
  for (std::size_t t = 0; t < infos.size(); t++) {
    const auto out = h.subspan(t * p.h_stride, p.model_dim);
    if (infos[t].soft_row != params::kNoSoftRow) {
      if (p.first_token != 0) continue;
      std::ranges::copy(soft.subspan(std::size_t{infos[t].soft_row} * p.model_dim, p.model_dim),
                        out.begin());
      continue;
    }
    const auto token = static_cast<std::size_t>(infos[t].token);
    if (token < p.first_token || token - p.first_token >= p.n_tokens) continue;
    const auto row = table.subspan((token - p.first_token) * p.model_dim, p.model_dim);
    for (std::size_t i = 0; i < p.model_dim; i++) out[i] = p.scale * row[i];
  }
}

}  // namespace preflight::reference
