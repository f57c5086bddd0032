#include "engine/reference/quantise.h"

#include <algorithm>
#include <cmath>

#include "shaders/params/step.h"

namespace preflight::reference {

void quantise(std::span<const float> x, std::span<std::int8_t> codes, std::span<float> scales,
              std::uint32_t n_rows, const params::QuantiseParams& p) {
  constexpr std::size_t kBlock = params::kWeightBlock;
  for (std::size_t block = 0; block < std::size_t{n_rows} * p.n_blocks; block++) {
    const auto in = x.subspan(block * kBlock, kBlock);
    float most = 0;
    for (const float value : in) most = std::max(most, std::abs(value));
    const float scale = std::max(most / 127.0f, 1e-12f);
    std::int32_t sum = 0;
    for (std::size_t i = 0; i < kBlock; i++) {
      // Ties go to the even code in the default rounding mode.
      const auto code =
          static_cast<std::int8_t>(std::clamp(std::nearbyint(in[i] / scale), -127.0f, 127.0f));
      codes[block * kBlock + i] = code;
      sum += code;
    }
    scales[2 * block] = scale;
    scales[2 * block + 1] = scale * static_cast<float>(sum);
  }
}

void dequantise(std::span<const std::int8_t> codes, std::span<const float> scales,
                std::span<float> out) {
  for (std::size_t i = 0; i < codes.size(); i++)
    out[i] = scales[i / params::kWeightBlock * 2] * static_cast<float>(codes[i]);
}

}  // namespace preflight::reference
