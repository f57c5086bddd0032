#include "bench/model/processor.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "bench/model/clock.h"

namespace preflight::bench {
namespace {

constexpr std::size_t kReadBytes = std::size_t{512} << 20;  // of all threads: beyond every cache
constexpr int kChains = 12;  // of dependent multiply-adds: hide their latency
constexpr int kRounds = 1 << 24;

/// Runs `work(thread)` on every processor at once; seconds until the last has ended.
template <typename Work>
double seconds_on_all(const Work& work) {
  const unsigned n = std::max(1u, std::thread::hardware_concurrency());
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < n; t++) threads.emplace_back([&work, t] { work(t); });
  }
  return seconds_since(start);
}

std::uint64_t sum(const std::vector<std::uint64_t>& words) {
  return std::reduce(words.begin(), words.end(), std::uint64_t{0});
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) float multiply_add(float factor) {
  const __m256 factors = _mm256_set1_ps(factor), addends = _mm256_set1_ps(1e-3f);
  __m256 chains[kChains] = {};
  for (int i = 0; i < kRounds; i++)
    for (__m256& chain : chains) chain = _mm256_fmadd_ps(chain, factors, addends);
  for (int i = 1; i < kChains; i++) chains[0] = _mm256_add_ps(chains[0], chains[i]);
  return _mm256_cvtss_f32(chains[0]);
}
bool has_fma() { return __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0; }
#else
float multiply_add(float /*factor*/) { return 0; }
bool has_fma() { return false; }
#endif

}  // namespace

Result<std::vector<Figure>> measure_processor(const Subject& subject, const ModelOptions& options) {
  if (!subject.device.software) return std::vector<Figure>{};
  const unsigned n = std::max(1u, std::thread::hardware_concurrency());
  std::vector<std::vector<std::uint64_t>> words(n);
  for (auto& own : words) own.assign(kReadBytes / n / sizeof(std::uint64_t), 1);
  std::vector<std::uint64_t> results(n);  // used, so that no compiler leaves the work out
  std::vector<double> read, fma;
  for (std::uint32_t i = 0; i < options.repeats; i++) {
    const double seconds = seconds_on_all([&](unsigned t) { results[t] = sum(words[t]); });
    if (results[0] == 0) return fail(ErrorCode::kInternal, "the read loop has lost its words");
    read.push_back(static_cast<double>(kReadBytes) / seconds * 1e-9);
  }
  std::vector<Figure> figures = {Figure::of("processor_read", "GB/s", std::move(read))};
  if (!has_fma()) return figures;
  std::vector<float> sums(n);
  for (std::uint32_t i = 0; i < options.repeats; i++) {
    const double seconds = seconds_on_all([&](unsigned t) { sums[t] = multiply_add(0.999f); });
    if (!(sums[0] > 0)) return fail(ErrorCode::kInternal, "the multiply-adds have lost their sum");
    fma.push_back(2.0 * 8 * kChains * kRounds * n / seconds * 1e-9);
  }
  figures.push_back(Figure::of("processor_fma_256", "GFLOP/s", std::move(fma)));
  return figures;
}

}  // namespace preflight::bench
