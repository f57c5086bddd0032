#include "engine/reference/draft_next.h"

namespace preflight::reference {

void draft_next(std::span<const params::ArgmaxEntry> best, std::span<params::RowInfo> infos,
                std::span<std::uint32_t> rows, std::span<std::uint32_t> tokens,
                const params::DraftNextParams& p) {
  for (std::uint32_t r = 0; r < best.size(); r++) {
    infos[r].token = static_cast<std::int32_t>(best[r].token);
    rows[r] = r;
    tokens[p.first_token + r] = best[r].token;
  }
}

}  // namespace preflight::reference
