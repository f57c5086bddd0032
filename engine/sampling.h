#pragma once

#include <cstdint>

#include "shaders/params/sample.h"
#include "vk/error.h"

namespace preflight::engine {

/// How the tokens of an answer are drawn (docs/model.md, sampling). The filters work in this order,
/// on what the answer's constraint allows.
struct Sampling {
  float temperature = 0;    ///< divides the logits; 0: the likeliest token, without chance
  std::uint32_t top_k = 0;  ///< the k likeliest tokens, and those as likely as the k-th; 0: all
  /// The fewest likeliest tokens that have this share of what top-k left, and those as likely as
  /// the last of them; 1: all.
  float top_p = 1;
  float min_p = 0;  ///< tokens at least so likely, as a share of the likeliest; 0: all
  /// The same seed gives the same text, whatever is generated beside it.
  std::uint64_t seed = 0;
};

/// Errors: kInvalidInput, naming the value and what it may be.
[[nodiscard]] Result<void> check_sampling(const Sampling& sampling);

/// For a token at `position` of its sequence; `sampling` has passed the check.
[[nodiscard]] params::SampleRow sample_row(const Sampling& sampling, std::uint32_t position);

}  // namespace preflight::engine
