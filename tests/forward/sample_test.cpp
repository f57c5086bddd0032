// The passes of sampling against their twin, the twin against the formulas, and both against
// chance. All sums are of integers and every product is rounded alike everywhere, so the tokens
// must agree exactly.

#include "engine/reference/sample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>

#include "engine/forward/sampler.h"
#include "engine/reference/argmax.h"
#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

using params::kNoToken;
using params::SampleRow;

/// Filters in words; a row of the device has them ready for its formulas.
struct Filters {
  float temperature = 1;
  std::uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
};

SampleRow row_of(const Filters& filters, std::uint64_t seed, std::uint32_t position) {
  return {.inverse_temperature = filters.temperature == 0 ? 0 : 1 / filters.temperature,
          .top_k = filters.top_k,
          .top_p = filters.top_p,
          .least_scaled_logit = filters.min_p == 0 ? -1e30f : std::log(filters.min_p),
          .seed_low = static_cast<std::uint32_t>(seed),
          .seed_high = static_cast<std::uint32_t>(seed >> 32),
          .position = position,
          .unused = 0};
}

class SampleTest : public ForwardTest {
 protected:
  static params::SampleParams params_for(std::uint32_t vocab) {
    return {.vocab_size = vocab,
            .logits_stride = vocab,
            .mask_stride = (vocab + 31) / 32,
            .pass = 0,
            .list_tokens = 0};
  }

  static std::vector<params::ArgmaxEntry> device_drawn(
      std::span<const float> logits, std::span<const std::uint32_t> mask,
      std::span<const SampleRow> rows, std::uint32_t vocab, bool wide,
      std::vector<std::uint32_t>* n_listed = nullptr) {
    const auto n_rows = static_cast<std::uint32_t>(rows.size());
    Kernels& k = kernels({.wide = wide});
    const vk::Buffer logits_buffer = upload(logits);
    const vk::Buffer mask_buffer = upload(mask);
    const vk::Buffer rows_buffer = upload(rows);
    const vk::Buffer partial = untouched(std::size_t{n_rows} * params::kArgmaxSlices * 2);
    const vk::Buffer best = untouched(std::size_t{n_rows} * 2);
    const vk::Buffer states = untouched(n_rows * kSampleStateBytes / 4);
    const vk::Buffer bins = untouched(n_rows * kSampleBinBytes / 4);
    const vk::Buffer lists = untouched(sample_lists_bytes(n_rows, vocab) / 4);
    const Sampler sampler = must(Sampler::create(k, vocab,
                                                 {.logits = &logits_buffer,
                                                  .masks = &mask_buffer,
                                                  .partial = &partial,
                                                  .best = &best,
                                                  .rows = &rows_buffer,
                                                  .states = &states,
                                                  .bins = &bins,
                                                  .lists = &lists}));
    const params::ArgmaxParams argmax{
        .vocab_size = vocab, .logits_stride = vocab, .mask_stride = (vocab + 31) / 32};
    const std::array<vk::Slice, params::kArgmaxBindings> slices = {
        vk::whole(logits_buffer), vk::whole(mask_buffer), vk::whole(partial), vk::whole(best)};
    std::array<RowOp, 2> passes;
    for (const std::uint32_t merge : {0u, 1u}) {
      const vk::Pipeline* pipeline =
          must(k.pipeline("argmax", params::kArgmaxBindings, sizeof argmax,
                          {k.options().tuning.argmax_lanes, merge}));
      passes[merge] = RowOp::of(pipeline, must(k.bind(*pipeline, slices)), argmax,
                                merge == 0 ? params::kArgmaxSlices : 1);
    }
    run([&](vk::CommandList& list) {
      passes[0].record(list, n_rows);
      sampler.record_clear(list, n_rows);
      list.barrier();
      passes[1].record(list, n_rows);
      list.barrier();
      sampler.record(list, n_rows);
    });
    std::vector<params::ArgmaxEntry> got(n_rows);
    must(uploader().read(best, 0, std::as_writable_bytes(std::span(got))));
    if (n_listed != nullptr) {
      std::vector<params::SampleState> known(rows.size() * (params::kSamplePasses + 1));
      must(uploader().read(states, 0, std::as_writable_bytes(std::span(known))));
      for (std::size_t r = 0; r < rows.size(); r++)
        n_listed->push_back(known[r * (params::kSamplePasses + 1)].n_listed);
    }
    return got;
  }

  static std::vector<params::ArgmaxEntry> twin_drawn(std::span<const float> logits,
                                                     std::span<const std::uint32_t> mask,
                                                     std::span<const SampleRow> rows,
                                                     std::uint32_t vocab) {
    std::vector<params::ArgmaxEntry> best(rows.size());
    const auto p = params_for(vocab);
    reference::argmax(logits, mask, best,
                      {.vocab_size = vocab, .logits_stride = vocab, .mask_stride = p.mask_stride});
    reference::sample(logits, mask, rows, best, p);
    return best;
  }

  static void check(std::span<const float> logits, std::span<const std::uint32_t> mask,
                    std::span<const SampleRow> rows, std::uint32_t vocab) {
    const auto want = twin_drawn(logits, mask, rows, vocab);
    for (const bool wide : {false, true}) {
      const auto got = device_drawn(logits, mask, rows, vocab, wide);
      for (std::size_t r = 0; r < rows.size(); r++)
        EXPECT_EQ(got[r].token, want[r].token)
            << "row " << r << " of " << vocab << ": temperature " << 1 / rows[r].inverse_temperature
            << ", top-k " << rows[r].top_k << ", top-p " << rows[r].top_p << ", min-p "
            << std::exp(rows[r].least_scaled_logit);
    }
  }
};

constexpr std::array<Filters, 16> kFilters = {
    {{.temperature = 0},
     {},
     {.temperature = 0.01f},
     {.temperature = 5},
     {.top_k = 1},
     {.top_k = 7},
     {.top_k = 64, .top_p = 0.95f},
     {.temperature = 0.7f, .top_k = 300, .top_p = 0.5f},
     {.top_k = 1u << 20},
     {.top_p = 0.9f},
     {.temperature = 3, .top_p = 0.999f},
     {.top_p = 1e-6f},
     {.min_p = 0.1f},
     {.min_p = 1},
     {.temperature = 2, .top_k = 40, .top_p = 0.8f, .min_p = 0.2f},
     {.temperature = 100, .top_k = 65}}};

TEST_F(SampleTest, MatchesTheTwinUnderAllFilters) {
  for (const std::uint32_t vocab : {1u, 31u, 33u, 1056u, 5003u, 262144u}) {
    std::vector<SampleRow> rows;
    for (std::uint32_t i = 0; i < kFilters.size(); i++)
      rows.push_back(row_of(kFilters[i], 0x123456789abcdefu * i, 17 * i));
    const std::uint32_t mask_words = (vocab + 31) / 32;
    const auto logits = normals(rows.size() * vocab, vocab, 4.0f);
    std::vector<std::uint32_t> mask(rows.size() * mask_words);
    for (std::size_t i = 0; i < mask.size(); i++)
      mask[i] = static_cast<std::uint32_t>(i + 1) * 2654435761u;
    // Half of the rows may have everything, bits past the vocabulary too.
    for (std::size_t r = 0; r < rows.size(); r += 2)
      std::fill_n(mask.begin() + static_cast<std::ptrdiff_t>(r * mask_words), mask_words,
                  0xffffffffu);
    check(logits, mask, rows, vocab);
  }
}

TEST_F(SampleTest, EqualLogitsStayTogether) {
  // Six likely tokens of three logits: top-k 2 must keep the four of the two best logits.
  constexpr std::uint32_t kVocab = 9000;
  std::vector<float> logits(kVocab, -3.0f);
  for (const std::size_t token : {100u, 8000u}) logits[token] = 2.0f;
  for (const std::size_t token : {3u, 4500u}) logits[token] = 0.0f;
  logits[4501] = -0.0f;
  const std::vector<std::uint32_t> mask((kVocab + 31) / 32, 0xffffffffu);
  std::array<std::uint32_t, 3> seen{};
  for (std::uint32_t position = 0; position < 64; position++) {
    const SampleRow row = row_of({.top_k = 3}, 5, position);
    const auto drawn = twin_drawn(logits, mask, {&row, 1}, kVocab).at(0).token;
    EXPECT_EQ(device_drawn(logits, mask, {&row, 1}, kVocab, false).at(0).token, drawn);
    seen[logits[drawn] == 2.0f ? 0 : logits[drawn] == 0.0f ? 1 : 2]++;
    EXPECT_NE(drawn, 4501u) << "0 comes before -0";
  }
  EXPECT_GT(seen[0], 0u);
  EXPECT_GT(seen[1], 0u);
  EXPECT_EQ(seen[2], 0u);
  // All equal: every filter keeps all of them.
  std::vector<SampleRow> rows;
  for (const Filters& filters : kFilters) rows.push_back(row_of(filters, 77, 1));
  check(std::vector<float>(rows.size() * kVocab, 1.5f),
        std::vector<std::uint32_t>(rows.size() * mask.size(), 0xffffffffu), rows, kVocab);
}

TEST_F(SampleTest, WhatTheMaskForbidsIsNeverDrawn) {
  constexpr std::uint32_t kVocab = 4096;
  const auto logits = normals(std::size_t{3} * kVocab, 9, 3.0f);
  std::vector<std::uint32_t> mask(std::size_t{3} * kVocab / 32, 0);  // row 0: nothing allowed
  mask[kVocab / 32 + 50] = 4;                                        // row 1: one token
  mask[2 * kVocab / 32 + 9] = 0x00ffff00u;                           // row 2: a few of one word
  const std::vector<SampleRow> rows(3, row_of({.top_k = 64, .top_p = 0.95f}, 3, 3));
  check(logits, mask, rows, kVocab);
  const auto drawn = device_drawn(logits, mask, rows, kVocab, false);
  EXPECT_EQ(drawn[0].token, kNoToken);
  EXPECT_EQ(drawn[1].token, 50u * 32 + 2);
}

TEST_F(SampleTest, TheWorstNumbersAreSurvived) {
  constexpr std::uint32_t kVocab = 700;
  std::vector<SampleRow> rows;
  for (const Filters& filters : kFilters) rows.push_back(row_of(filters, 1, 2));
  auto logits = normals(rows.size() * kVocab, 4, 30.0f);
  for (std::size_t i = 0; i < logits.size(); i++) {
    if (i % 7 == 3) logits[i] = -std::numeric_limits<float>::infinity();
    if (i % 7 == 5) logits[i] = -3e38f;
    if (i % 350 == 300) logits[i] = std::numeric_limits<float>::quiet_NaN();
  }
  const std::vector<std::uint32_t> mask(rows.size() * ((kVocab + 31) / 32), 0xffffffffu);
  check(logits, mask, rows, kVocab);
}

/// Rows that differ in what a list holds of them; `n_listed` says what it must come to.
struct ListCase {
  const char* what;
  Filters filters;
  std::function<float(std::uint32_t token)> logit;
  std::uint32_t fewest, most;  ///< kSampleNoList: the vocabulary is read
};

/// Whether sample_bound.comp looks at this token.
bool is_looked_at(std::uint32_t token) {
  return token % params::kSampleStride ==
         token / params::kSampleStride * 2654435761u % params::kSampleStride;
}

TEST_F(SampleTest, ListsAndTheVocabularyDrawTheSame) {
  constexpr std::uint32_t kVocab = 40000;
  constexpr std::uint32_t kNo = params::kSampleNoList;
  const auto wide = normals(kVocab, 51, 4.0f);
  const auto narrow = normals(kVocab, 52, 0.1f);
  const std::array<ListCase, 9> cases = {{
      {"top-k within the slices' best", {.top_k = 64}, [&](auto t) { return wide[t]; }, 64, 1000},
      {"top-k by a guess", {.top_k = 900}, [&](auto t) { return wide[t]; }, 1025, 9000},
      {"top-p by a guess", {.top_p = 0.95f}, [&](auto t) { return wide[t]; }, 1025, 12000},
      {"one token of all mass",
       {.top_p = 0.95f},
       [&](auto t) { return t == 77 ? 60.0f : wide[t]; },
       1,
       100},
      {"equal tokens overflow the list", {.top_k = 3}, [](auto) { return 1.5f; }, kNo, kNo},
      {"more tokens than a list holds",
       {.top_p = 0.9f},
       [&](auto t) { return narrow[t]; },
       kNo,
       kNo},
      {"a guess that misses mass",
       {.top_p = 0.95f},
       [](auto t) {
         return t == 77 ? 0.0f : is_looked_at(t) ? -60.0f : -9.0f - 1e-5f * static_cast<float>(t);
       },
       kNo,
       kNo},
      {"a guess that misses tokens",
       {.top_k = 300},
       [](auto t) { return is_looked_at(t) && t < 6400 ? 9.0f : -1e-3f * static_cast<float>(t); },
       kNo,
       kNo},
      {"no filter", {.min_p = 0.01f}, [&](auto t) { return wide[t]; }, kNo, kNo},
  }};
  std::vector<SampleRow> rows;
  std::vector<float> logits;
  for (std::uint32_t r = 0; r < 2 * cases.size(); r++) {  // twice: the noise differs
    const ListCase& c = cases[r % cases.size()];
    rows.push_back(row_of(c.filters, 99, r));
    for (std::uint32_t token = 0; token < kVocab; token++) logits.push_back(c.logit(token));
  }
  const std::vector<std::uint32_t> mask(rows.size() * kVocab / 32, 0xffffffffu);
  const auto want = twin_drawn(logits, mask, rows, kVocab);
  for (const bool wide_groups : {false, true}) {
    std::vector<std::uint32_t> n_listed;
    const auto got = device_drawn(logits, mask, rows, kVocab, wide_groups, &n_listed);
    for (std::size_t r = 0; r < rows.size(); r++) {
      const ListCase& c = cases[r % cases.size()];
      EXPECT_EQ(got[r].token, want[r].token) << c.what;
      EXPECT_GE(n_listed[r], c.fewest) << c.what;
      EXPECT_LE(n_listed[r], c.most) << c.what;
    }
  }
}

TEST_F(SampleTest, CompanyDoesNotMatter) {
  constexpr std::uint32_t kVocab = 5003;
  const std::uint32_t mask_words = (kVocab + 31) / 32;
  const auto logits = normals(kFilters.size() * kVocab, 21, 3.0f);
  const std::vector<std::uint32_t> mask(kFilters.size() * mask_words, 0xffffffffu);
  std::vector<SampleRow> rows;
  for (std::uint32_t i = 0; i < kFilters.size(); i++) rows.push_back(row_of(kFilters[i], 8, i));
  const auto together = device_drawn(logits, mask, rows, kVocab, false);
  for (std::size_t r = 0; r < rows.size(); r++) {
    const auto alone =
        device_drawn(std::span(logits).subspan(r * kVocab, kVocab),
                     std::span(mask).first(mask_words), {&rows[r], 1}, kVocab, false);
    EXPECT_EQ(alone.at(0).token, together[r].token) << r;
  }
}

/// What a token's share of the draws should be, from the definition and in double.
std::vector<double> shares(std::span<const float> logits, const Filters& filters) {
  std::vector<std::size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](auto a, auto b) { return logits[a] > logits[b]; });
  std::vector<double> share(logits.size(), 0.0);
  const double best = logits[order[0]];
  std::size_t n =
      filters.top_k == 0 ? order.size() : std::min<std::size_t>(filters.top_k, order.size());
  double all = 0;
  for (std::size_t i = 0; i < n; i++) {
    share[order[i]] = std::exp((logits[order[i]] - best) / double{filters.temperature});
    all += share[order[i]];
  }
  double reached = 0;
  for (std::size_t i = 0; i < n; i++) {
    double& mine = share[order[i]];
    const bool kept = reached < double{filters.top_p} * all && mine >= double{filters.min_p};
    reached += mine;
    if (!kept) mine = 0;
  }
  const double left = std::accumulate(share.begin(), share.end(), 0.0);
  for (double& mine : share) mine /= left;
  return share;
}

TEST_F(SampleTest, DrawsByLikelihood) {
  // 32 rows at a time, each at a position of its own; the seeds are fixed, so is the outcome.
  constexpr std::uint32_t kVocab = 97;
  constexpr std::uint32_t kRows = 32;
  constexpr std::uint32_t kDraws = 640 * kRows;
  const auto one = normals(kVocab, 33, 1.5f);
  std::vector<float> logits;
  for (std::uint32_t r = 0; r < kRows; r++) logits.insert(logits.end(), one.begin(), one.end());
  const std::vector<std::uint32_t> mask(std::size_t{kRows} * 4, 0xffffffffu);
  for (const Filters& filters :
       {Filters{}, Filters{.temperature = 0.6f}, Filters{.top_k = 12},
        Filters{.temperature = 1.4f, .top_k = 40, .top_p = 0.8f}, Filters{.min_p = 0.05f}}) {
    std::vector<double> seen(kVocab, 0);
    std::vector<SampleRow> rows(kRows);
    for (std::uint32_t draw = 0; draw < kDraws; draw += kRows) {
      for (std::uint32_t r = 0; r < kRows; r++) rows[r] = row_of(filters, 4711, draw + r);
      const bool on_device = draw % 2048 == 0;  // the twin is the same, and faster for few rows
      const auto drawn = on_device ? device_drawn(logits, mask, rows, kVocab, false)
                                   : twin_drawn(logits, mask, rows, kVocab);
      for (const params::ArgmaxEntry& entry : drawn) {
        ASSERT_LT(entry.token, kVocab);
        seen[entry.token]++;
      }
    }
    const std::vector<double> expected = shares(one, filters);
    double chi_square = 0;
    double n_classes = 0;
    double rare_expected = 0;
    double rare_seen = 0;
    const auto add = [&](double want, double got) {
      chi_square += (got - want) * (got - want) / want;
      n_classes++;
    };
    for (std::uint32_t token = 0; token < kVocab; token++) {
      const double want = expected[token] * kDraws;
      if (want == 0) {
        EXPECT_EQ(seen[token], 0) << token;
      } else if (want < 10) {  // too few for the approximation: one class for all of them
        rare_expected += want;
        rare_seen += seen[token];
      } else {
        add(want, seen[token]);
      }
    }
    if (rare_expected > 0) add(rare_expected, rare_seen);
    // Mean n - 1, deviation sqrt(2 (n - 1)); 4 deviations are 1 of 10,000 wrong alarms, and the
    // seed is fixed.
    const double freedom = n_classes - 1;
    EXPECT_LT(chi_square, freedom + 4 * std::sqrt(2 * freedom))
        << "temperature " << filters.temperature << ", top-k " << filters.top_k;
    EXPECT_GT(chi_square, freedom - 4 * std::sqrt(2 * freedom)) << "too even for chance";
  }
}

TEST(SampleTwin, TheNoiseIsPhilox) {
  // Known answers of its authors (Random123, kat_vectors).
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(reference::philox({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  const std::uint32_t ones = 0xffffffffu;
  EXPECT_EQ(reference::philox({ones, ones, ones, ones}, {ones, ones}),
            (Words{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(reference::philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u},
                              {0xa4093822u, 0x299f31d0u}),
            (Words{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

TEST(SampleTwin, TheFunctionsAreWhatTheySay) {
  for (double x = -87; x <= 88; x += 0.0371) {
    const auto value = static_cast<float>(x);
    const double want = std::exp(double{value});
    EXPECT_NEAR(double{reference::sample_exp(value)} / want, 1, 3e-7) << value;
  }
  EXPECT_EQ(reference::sample_exp(0), 1.0f);
  EXPECT_EQ(reference::sample_exp(-1000), reference::sample_exp(-87));
  EXPECT_EQ(reference::sample_exp(1000), reference::sample_exp(88));
  for (std::uint64_t i = 0; i < 4096; i++) {
    const auto bits = static_cast<std::uint32_t>(i < 64 ? i : i * 0xfffffu);
    const double u = (static_cast<double>(bits) + 0.5) * 0x1p-32;
    const double want = -std::log1p(-u);
    const double got = double{reference::sample_exponential(bits)};
    EXPECT_GT(got, 0) << bits;
    // 24 bits of 1 - u count where the time is long.
    EXPECT_NEAR(got, want, 3e-7 * want + (bits < 0x40000000u ? 0 : 0x1p-24 / (1 - u))) << bits;
  }
  EXPECT_GT(reference::sample_exponential(0xffffffffu), 16.0f);
  EXPECT_LT(reference::sample_exponential(0xffffffffu), 18.0f);
}

}  // namespace
}  // namespace preflight::forward
