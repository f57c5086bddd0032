#include "engine/sampling.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace preflight::engine {
namespace {

// A lower one draws what temperature 0 finds, a higher one draws evenly; both ends are far from
// what float32 cannot divide.
constexpr float kLowestTemperature = 0.01f;
constexpr float kHighestTemperature = 100.0f;

}  // namespace

Result<void> check_sampling(const Sampling& sampling) {
  const auto refuse = [](const char* name, float found, const std::string& expected) {
    return fail(ErrorCode::kInvalidInput,
                fmt::format("{} is {}, expected {}", name, found, expected));
  };
  // Written so that NaN is refused.
  const float t = sampling.temperature;
  if (!(t == 0 || (t >= kLowestTemperature && t <= kHighestTemperature)))
    return refuse("temperature", t,
                  fmt::format("0 for the likeliest token, or {} to {}", kLowestTemperature,
                              kHighestTemperature));
  if (!(sampling.top_p > 0 && sampling.top_p <= 1))
    return refuse("top-p", sampling.top_p, "more than 0 and at most 1");
  if (!(sampling.min_p >= 0 && sampling.min_p <= 1))
    return refuse("min-p", sampling.min_p, "0 to 1");
  return {};
}

params::SampleRow sample_row(const Sampling& sampling, std::uint32_t position) {
  constexpr float kNoLimit = -1e30f;
  return {.inverse_temperature = sampling.temperature == 0 ? 0 : 1 / sampling.temperature,
          .top_k = sampling.top_k,
          .top_p = sampling.top_p,
          .least_scaled_logit = std::max(kNoLimit, std::log(sampling.min_p)),
          .seed_low = static_cast<std::uint32_t>(sampling.seed),
          .seed_high = static_cast<std::uint32_t>(sampling.seed >> 32),
          .position = position,
          .unused = 0};
}

}  // namespace preflight::engine
