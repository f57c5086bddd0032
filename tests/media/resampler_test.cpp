#include "engine/media/decoder/resampler.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace preflight::media {
namespace {

std::vector<float> sine(std::uint32_t rate_hz, double frequency_hz, std::size_t n) {
  std::vector<float> samples;
  for (std::size_t i = 0; i < n; ++i) {
    samples.push_back(static_cast<float>(
        std::sin(2.0 * std::numbers::pi * frequency_hz * static_cast<double>(i) / rate_hz)));
  }
  return samples;
}

std::vector<float> resample(std::uint32_t rate_hz, const std::vector<float>& input,
                            std::size_t chunk = SIZE_MAX) {
  auto resampler = Resampler::create(rate_hz);
  EXPECT_TRUE(resampler.has_value()) << resampler.error().message;
  std::vector<float> out;
  for (std::size_t at = 0; at < input.size();) {
    const std::size_t n = std::min(chunk, input.size() - at);
    EXPECT_TRUE(resampler->push(std::span(input).subspan(at, n), out).has_value());
    at += n;
  }
  EXPECT_TRUE(resampler->finish(out).has_value());
  return out;
}

double rms_of_middle(const std::vector<float>& samples) {
  double sum = 0.0;
  const std::size_t edge = samples.size() / 4;
  for (std::size_t i = edge; i < samples.size() - edge; ++i) {
    sum += static_cast<double>(samples[i]) * static_cast<double>(samples[i]);
  }
  return std::sqrt(sum / static_cast<double>(samples.size() - 2 * edge));
}

class Rates : public testing::TestWithParam<std::uint32_t> {};

TEST_P(Rates, LengthIsTheCeiling) {
  const std::uint64_t rate_hz = GetParam();
  for (const std::uint64_t n : {1u, 2u, 50u, 100u, 999u, 1000u, 4410u, 10001u}) {
    const std::vector<float> input(n, 0.1f);
    EXPECT_EQ(resample(GetParam(), input).size(), (n * 16000 + rate_hz - 1) / rate_hz) << n;
  }
}

TEST_P(Rates, PassesSpeechWithoutDelay) {
  const double frequency_hz = std::min(7000.0, GetParam() * 7.0 / 16.0) * 0.97;
  const auto out = resample(GetParam(), sine(GetParam(), frequency_hz, GetParam()));
  const auto expected = sine(16000, frequency_hz, out.size());
  // Away from the ends, where the signal stops.
  for (std::size_t i = 2000; i + 2000 < out.size(); ++i) {
    ASSERT_NEAR(out[i], expected[i], 1e-4) << "sample " << i;
  }
}

TEST_P(Rates, StopsWhatWouldFoldBack) {
  if (GetParam() <= 16000) {
    // Nothing can fold; the images of the lower rate must be gone instead.
    const auto out = resample(GetParam(), sine(GetParam(), GetParam() * 0.2, GetParam()));
    EXPECT_NEAR(rms_of_middle(out), std::sqrt(0.5), 1e-3);
    return;
  }
  for (const double frequency_hz : {8100.0, 9000.0, 12000.0, 15000.0, 20000.0}) {
    if (frequency_hz * 2.0 >= GetParam()) return;
    const auto out = resample(GetParam(), sine(GetParam(), frequency_hz, GetParam()));
    EXPECT_LT(20.0 * std::log10(rms_of_middle(out) / std::sqrt(0.5)), -90.0) << frequency_hz;
  }
}

TEST_P(Rates, ChunksDoNotMatter) {
  const auto input = sine(GetParam(), 440.0, 5000);
  EXPECT_EQ(resample(GetParam(), input), resample(GetParam(), input, 7));
}

INSTANTIATE_TEST_SUITE_P(Common, Rates,
                         testing::Values(8000, 11025, 11127, 16000, 22050, 24000, 32000, 44100,
                                         44101, 48000, 96000, 384000));

TEST(Resampler, SilenceStaysExact) {
  for (const float sample : resample(44100, std::vector<float>(44100, 0.0f)))
    EXPECT_EQ(sample, 0.0f);
}

TEST(Resampler, AConstantStaysThatConstant) {
  const auto out = resample(44100, std::vector<float>(44100, 0.25f));
  for (std::size_t i = 500; i + 500 < out.size(); ++i) ASSERT_NEAR(out[i], 0.25f, 1e-6f);
}

// The loudest sound there is, at a rate of 16 kHz: nothing is done to it.
TEST(Resampler, SixteenKilohertzPassThroughBitForBit) {
  std::vector<float> input;
  for (int i = -32768; i < 32768; ++i) input.push_back(static_cast<float>(i) / 32768.0f);
  input.push_back(1.5f);
  EXPECT_EQ(resample(16000, input, 999), input);
}

TEST(Resampler, ALoneClickStaysWhereItIs) {
  std::vector<float> input(4800, 0.0f);
  input[2400] = 1.0f;  // at 50 ms
  const auto out = resample(48000, input);
  EXPECT_EQ(std::max_element(out.begin(), out.end()) - out.begin(), 800);
}

}  // namespace
}  // namespace preflight::media
