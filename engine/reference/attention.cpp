#include "engine/reference/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/reference/matmul.h"

namespace preflight::reference {

void attention(std::span<const float> q, std::span<const params::RowInfo> infos,
               std::span<const std::uint32_t> page_tables, std::span<const float> keys,
               std::span<const float> values, std::span<float> o, const AttentionShape& shape,
               const params::AttentionParams& p) {
  const std::size_t head_dim = shape.head_dim;
  for (std::size_t t = 0; t < infos.size(); t++) {
    const params::RowInfo& info = infos[t];
    const bool sliding = p.window != 0;
    const std::size_t table = sliding ? info.sliding_pages : info.full_pages;
    const std::size_t first =
        sliding && info.position + 1 > p.window ? info.position + 1 - p.window : 0;
    const std::size_t last = sliding ? info.last_visible : info.position;

    for (std::size_t h = 0; h < p.n_heads; h++) {
      const std::size_t kv_head = h / (p.n_heads / p.n_kv_heads);
      const auto query = q.subspan((t * p.n_heads + h) * shape.q_values(), shape.q_values());
      const auto plane_row = [&](std::span<const float> plane, std::size_t j, std::size_t dim) {
        const std::size_t page = page_tables[table + j / params::kPageTokens];
        return plane.subspan(kv_row(page, p.n_kv_heads, kv_head, j % params::kPageTokens, dim),
                             dim);
      };

      std::vector<double> weight;
      for (std::size_t j = first; j <= last; j++) {
        double score = dot(query.first(shape.key_dim), plane_row(keys, j, shape.key_dim));
        if (shape.folded)
          score += dot(query.subspan(shape.key_dim), plane_row(values, j, head_dim));
        weight.push_back(score);
      }
      const double highest = *std::ranges::max_element(weight);
      double sum = 0;
      for (double& w : weight) sum += w = std::exp(w - highest);

      std::vector<double> out(head_dim, 0.0);
      for (std::size_t j = first; j <= last; j++) {
        const auto value = plane_row(values, j, head_dim);
        for (std::size_t d = 0; d < head_dim; d++) out[d] += weight[j - first] / sum * value[d];
      }
      for (std::size_t d = 0; d < head_dim; d++)
        o[t * p.o_stride_vec4 * 4 + h * head_dim + d] = static_cast<float>(out[d]);
    }
  }
}

}  // namespace preflight::reference
