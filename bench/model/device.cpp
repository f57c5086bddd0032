#include "bench/model/device.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/model/clock.h"
#include "engine/model/mapped_file.h"

namespace preflight::bench {
namespace {

Result<Figure> host_to_device(Bench& bench, std::uint32_t repeats) {
  constexpr std::uint64_t kUnit = 1u << 16;
  const std::uint64_t range = bench.device().description().max_storage_buffer_range;
  const std::uint64_t n_units = std::min<std::uint64_t>(range, 1u << 30) / kUnit;
  PREFLIGHT_TRY(vk::Buffer target, bench.empty(n_units * kUnit));
  PREFLIGHT_TRY(vk::Uploader uploader,
                vk::Uploader::create(bench.device(), 64u << 20, vk::UploadPath::kStaged));
  const vk::Uploader::Plane plane{.offset = 0, .unit_bytes = kUnit};
  // The copy alone is measured: what stands in the ring is as good as anything.
  const auto fill = [](std::uint64_t, std::uint64_t, std::span<const std::span<std::byte>>) {
    return Result<void>();
  };
  std::vector<double> samples;
  for (std::uint32_t i = 0; i < repeats + 1; i++) {
    const auto start = Clock::now();
    PREFLIGHT_TRY_VOID(uploader.write(target, {&plane, 1}, n_units, fill));
    if (i > 0)
      samples.push_back(static_cast<double>(n_units * kUnit) / seconds_since(start) * 1e-9);
  }
  return Figure::of("host_to_device", "GB/s", std::move(samples));
}

/// Reads the whole file; 0, or errno of a read that failed.
int read_on_all(int file, std::uint64_t size_bytes) {
  constexpr std::uint64_t kPiece = 4u << 20;
  std::atomic<std::uint64_t> next = 0;
  std::atomic<int> failed = 0;
  const auto work = [&] {
    std::vector<std::byte> piece(kPiece);
    for (std::uint64_t at = next.fetch_add(kPiece); at < size_bytes; at = next.fetch_add(kPiece)) {
      const std::uint64_t end = std::min(at + kPiece, size_bytes);
      while (at < end) {
        const ssize_t n = pread(file, piece.data(), end - at, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
          failed = n < 0 ? errno : EIO;
          return;
        }
        at += static_cast<std::uint64_t>(n);
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < std::max(1u, std::thread::hardware_concurrency()); t++)
      threads.emplace_back(work);
  }
  return failed;
}

}  // namespace

Result<std::vector<Figure>> measure_device(const Subject& subject, const ModelOptions& options) {
  BenchOptions bench_options;
  bench_options.device = options.device;
  bench_options.tier = subject.tier;
  PREFLIGHT_TRY(const auto bench, Bench::open(bench_options));
  const Limits& limits = bench->limits();
  std::vector<Figure> figures = {
      Figure::of("device_copy", "GB/s", {limits.copy_gb_per_s}),
      Figure::of("device_read", "GB/s", {limits.read_gb_per_s}),
      Figure::of("device_fma", "GFLOP/s", {limits.fma_gflop_per_s}),
  };
  if (limits.coopmat_gflop_per_s > 0)
    figures.push_back(Figure::of("device_coopmat", "GFLOP/s", {limits.coopmat_gflop_per_s}));
  PREFLIGHT_TRY(Figure staged, host_to_device(*bench, options.repeats));
  figures.push_back(std::move(staged));
  return figures;
}

Result<std::vector<Figure>> measure_file(const ModelOptions& options) {
  PREFLIGHT_TRY(const model::MappedFile mapped, model::MappedFile::open(options.model));
  const std::uint64_t size_bytes = mapped.bytes().size();
  const int file = open(options.model.c_str(), O_RDONLY | O_CLOEXEC);
  std::vector<double> samples;
  int failed = file < 0 ? errno : 0;
  for (std::uint32_t i = 0; i < options.repeats && failed == 0; i++) {
    const auto start = Clock::now();
    failed = read_on_all(file, size_bytes);
    samples.push_back(static_cast<double>(size_bytes) / seconds_since(start) * 1e-9);
  }
  if (file >= 0) close(file);
  if (failed != 0)
    return fail(ErrorCode::kIo,
                fmt::format("{}: {}", options.model.string(), std::strerror(failed)));
  return std::vector<Figure>{Figure::of("file_read", "GB/s", std::move(samples))};
}

}  // namespace preflight::bench
