#include "engine/reference/argmax.h"

namespace preflight::reference {

void argmax(std::span<const float> logits, std::span<const std::uint32_t> mask,
            std::span<params::ArgmaxEntry> best, const params::ArgmaxParams& p) {
  for (std::size_t r = 0; r < best.size(); r++) {
    best[r] = {.logit = 0, .token = params::kNoToken};
    for (std::uint32_t token = 0; token < p.vocab_size; token++) {
      if (((mask[r * p.mask_stride + token / 32] >> (token % 32)) & 1) == 0) continue;
      const float logit = logits[r * p.logits_stride + token];
      if (best[r].token == params::kNoToken || logit > best[r].logit)
        best[r] = {.logit = logit, .token = token};
    }
  }
}

}  // namespace preflight::reference
