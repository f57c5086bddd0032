#include "engine/reference/sample.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

namespace preflight::reference {
namespace {

struct Candidate {
  std::uint32_t key = 0;  ///< ascends with the logit
  std::uint32_t token = 0;
  float scaled = 0;  ///< distance to the best logit over the temperature, not above 0
};

/// What the mask allows, the likeliest first.
std::vector<Candidate> candidates_of(std::span<const float> logits,
                                     std::span<const std::uint32_t> mask, std::uint32_t vocab_size,
                                     float inverse_temperature) {
  std::vector<std::uint32_t> tokens;
  float best = 0;
  for (std::uint32_t token = 0; token < vocab_size; token++) {
    if ((mask[token / 32] >> (token % 32) & 1) == 0) continue;
    best = tokens.empty() ? logits[token] : std::max(best, logits[token]);
    tokens.push_back(token);
  }
  std::vector<Candidate> candidates;
  for (const std::uint32_t token : tokens) {
    if (!(logits[token] <= best)) continue;
    const auto bits = std::bit_cast<std::uint32_t>(logits[token]);
    candidates.push_back({.key = bits ^ (bits >> 31 != 0 ? 0xffffffffu : 0x80000000u),
                          .token = token,
                          .scaled = (logits[token] - best) * inverse_temperature});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.key > b.key; });
  return candidates;
}

/// Keeps the first `n` and what is as likely as the last of them.
void keep(std::vector<Candidate>& candidates, std::size_t n) {
  while (n < candidates.size() && candidates[n].key == candidates[n - 1].key) n++;
  if (n < candidates.size()) candidates.resize(n);
}

std::uint64_t mass_of(const Candidate& candidate) {
  return static_cast<std::uint32_t>(sample_exp(candidate.scaled) *
                                    static_cast<float>(1u << params::kSampleMassBits));
}

/// A mass as the shader compares it: two words, each rounded to float32.
float value_of(std::uint64_t mass) {
  const std::uint64_t limb = std::uint64_t{1} << params::kSampleLimbBits;
  const std::uint64_t high = mass / limb;
  return static_cast<float>(high) * static_cast<float>(limb) + static_cast<float>(mass % limb);
}

}  // namespace

float sample_exp(float value) {
  const float x = std::clamp(value, -87.0f, 88.0f);
  const float turns = std::floor(x * 1.44269504f + 0.5f);
  const float r = x - turns * 0.693359375f + turns * 2.12194440e-4f;
  float sum = 0.00139262679f;
  for (const float term : {0.00836324692f, 0.0416665524f, 0.166665763f, 0.5f}) sum = sum * r + term;
  sum = sum * r * r + r + 1.0f;
  return sum *
         std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<int>(turns) + 127) << 23);
}

float sample_exponential(std::uint32_t bits) {
  float x = 0;
  float exponent = 0;
  if (bits < 0x40000000u) {
    x = -((static_cast<float>(bits) + 0.5f) * 0x1p-32f);
  } else {
    const float rest = (static_cast<float>(~bits >> 8) + 0.5f) * 0x1p-24f;
    int power = 0;
    float mantissa = 2 * std::frexp(rest, &power);
    exponent = static_cast<float>(power - 1);
    if (mantissa > 1.41421354f) {
      mantissa *= 0.5f;
      exponent += 1.0f;
    }
    x = mantissa - 1.0f;
  }
  float sum = -0.0790419504f;
  for (const float term : {0.126239702f, -0.129984289f, 0.142143294f, -0.166412488f, 0.200010493f,
                           -0.25000307f, 0.333333313f})
    sum = sum * x + term;
  const float square = x * x;
  return -(sum * x * square - 0.5f * square + x + exponent * 0.693147182f);
}

std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                    std::array<std::uint32_t, 2> key) {
  for (int i = 0; i < 10; i++) {
    const std::uint64_t first = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t second = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(second >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(second),
               static_cast<std::uint32_t>(first >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(first)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

void sample(std::span<const float> logits, std::span<const std::uint32_t> mask,
            std::span<const params::SampleRow> rows, std::span<params::ArgmaxEntry> best,
            const params::SampleParams& p) {
  for (std::size_t r = 0; r < rows.size(); r++) {
    const params::SampleRow& row = rows[r];
    if (row.inverse_temperature == 0) continue;
    best[r].token = params::kNoToken;
    std::vector<Candidate> candidates = candidates_of(
        logits.subspan(r * p.logits_stride, p.vocab_size),
        mask.subspan(r * p.mask_stride, p.mask_stride), p.vocab_size, row.inverse_temperature);
    if (row.top_k != 0 && row.top_k < candidates.size()) keep(candidates, row.top_k);
    if (row.top_p < 1) {
      std::uint64_t all = 0;
      for (const Candidate& candidate : candidates) all += mass_of(candidate);
      const float target = row.top_p * value_of(all);
      std::uint64_t reached = 0;
      std::size_t n = 0;
      while (n < candidates.size() && (n == 0 || value_of(reached) < target))
        reached += mass_of(candidates[n++]);
      keep(candidates, n);
    }
    float first = 0;
    for (const Candidate& candidate : candidates) {
      if (candidate.scaled < row.least_scaled_logit) continue;
      const auto noise =
          philox({candidate.token / 4, row.position, 0, 0}, {row.seed_low, row.seed_high});
      const float time =
          sample_exponential(noise[candidate.token % 4]) * sample_exp(-candidate.scaled);
      if (best[r].token != params::kNoToken &&
          (time > first || (time == first && candidate.token > best[r].token)))
        continue;
      first = time;
      best[r].token = candidate.token;
    }
  }
}

}  // namespace preflight::reference
