#include "engine/reference/draft_input.h"

#include <algorithm>

namespace preflight::reference {

void draft_input(std::span<const float> embedding, std::span<const float> hidden,
                 std::span<const std::uint32_t> rows, std::span<float> x,
                 const params::DraftInputParams& p) {
  for (std::size_t r = 0; r < rows.size(); r++) {
    const auto out = x.subspan(r * p.x_stride_vec4 * 4, std::size_t{2} * p.target_dim);
    std::ranges::copy(embedding.subspan(r * p.embedding_stride_vec4 * 4, p.target_dim),
                      out.begin());
    std::ranges::copy(hidden.subspan(std::size_t{rows[r]} * p.hidden_stride_vec4 * 4, p.target_dim),
                      out.subspan(p.target_dim).begin());
  }
}

}  // namespace preflight::reference
