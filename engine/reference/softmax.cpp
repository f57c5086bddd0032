#include "engine/reference/softmax.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace preflight::reference {

void softmax(std::span<const float> logits, std::span<const params::SoftmaxQuery> queries,
             std::span<const std::uint32_t> tokens, std::span<params::SoftmaxSum> sums,
             std::span<float> picked, const params::SoftmaxParams& p) {
  for (std::size_t q = 0; q < queries.size(); q++) {
    const auto row = logits.subspan(std::size_t{queries[q].row} * p.logits_stride, p.vocab_size);
    params::SoftmaxSum& sum = sums[q];
    sum = {.largest = std::numeric_limits<float>::lowest(),
           .sum = 0,
           .bad_token = params::kSoftmaxNoToken,
           .unused = 0};
    for (std::uint32_t token = 0; token < p.vocab_size; token++) {
      if (std::isnan(row[token]) || row[token] == std::numeric_limits<float>::infinity())
        sum.bad_token = std::min(sum.bad_token, token);
      else
        sum.largest = std::max(sum.largest, row[token]);
    }
    double exponentials = 0;
    for (const float logit : row) exponentials += std::exp(double{logit} - double{sum.largest});
    sum.sum = static_cast<float>(exponentials);
    const std::size_t first = q * params::kSoftmaxTokens;
    for (std::size_t i = first; i < first + queries[q].n_tokens; i++) picked[i] = row[tokens[i]];
  }
}

}  // namespace preflight::reference
