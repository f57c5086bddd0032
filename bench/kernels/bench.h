#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/kernels/limits.h"
#include "engine/forward/kernels.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/device.h"
#include "vk/error.h"
#include "vk/submit.h"
#include "vk/timestamps.h"
#include "vk/upload.h"

namespace preflight::bench {

struct BenchOptions {
  std::string device;            ///< part of its name
  std::optional<vk::Tier> tier;  ///< default: the device's own
  std::uint32_t shrink = 1;      ///< divides the rows of matrices and the depth of attention
};

/// What one run of a kernel must do at least.
struct Work {
  double bytes = 0;       ///< read and written, each once
  double operations = 0;  ///< a multiply-add counts as two
};

/// A kernel bound to its data, with the proof that it computes what its twin does.
struct Case {
  Work work;
  Arithmetic arithmetic = Arithmetic::kFma;
  std::function<void(vk::CommandList&)> record;
  /// Compares the results of one run with the twin's. Errors: kInternal.
  std::function<Result<void>()> check;
  std::shared_ptr<void> data;  ///< buffers that the two use
};

/// A device with what the kernels need, and the clock. Not movable: kernels point into it.
class Bench {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Bench>> open(const BenchOptions& options);

  /// Registers a benchmark under this name; its case is made when it runs and freed after.
  void add(const std::string& name, std::function<Result<Case>(Bench&)> make);

  /// One submission of what is recorded, by the device's clock where it has one.
  [[nodiscard]] Result<double> time_ms(const std::function<void(vk::CommandList&)>& record);

  [[nodiscard]] Result<vk::Buffer> upload(std::span<const std::byte> bytes);
  /// As a product's input: float16 in the tier that rounds them. The values are changed to what
  /// the device then reads.
  [[nodiscard]] Result<vk::Buffer> upload_activations(std::span<float> values);
  [[nodiscard]] Result<vk::Buffer> empty(std::uint64_t bytes);
  [[nodiscard]] Result<std::vector<float>> read(const vk::Buffer& buffer, std::size_t n, bool half);

  [[nodiscard]] vk::Device& device() { return device_; }
  [[nodiscard]] vk::Uploader& uploader() { return uploader_; }
  [[nodiscard]] forward::Kernels& kernels() { return *kernels_; }
  [[nodiscard]] vk::Tier tier() const { return tier_; }
  [[nodiscard]] bool act16() const { return kernels_->options().act16; }
  [[nodiscard]] const BenchOptions& options() const { return options_; }
  [[nodiscard]] bool has_device_clock() const { return timestamps_.has_value(); }
  [[nodiscard]] const Limits& limits() const { return limits_; }
  /// A benchmark that could not be run, or whose results are not its twin's.
  void note_failure() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  Bench(BenchOptions options, vk::Device device, vk::Submitter submitter, vk::Uploader uploader)
      : options_(std::move(options)),
        device_(std::move(device)),
        submitter_(std::move(submitter)),
        uploader_(std::move(uploader)) {}

  BenchOptions options_;
  vk::Device device_;
  vk::Submitter submitter_;
  vk::Uploader uploader_;
  std::optional<vk::Timestamps> timestamps_;
  std::optional<forward::Kernels> kernels_;
  vk::Tier tier_ = vk::Tier::kBase;
  Limits limits_;
  bool failed_ = false;
};

/// Nothing when no value is further from its twin's than a thousandth of the largest: a proof that
/// the right thing is timed. How exact it is, the tests hold.
[[nodiscard]] Result<void> check_close(const std::string& kernel, std::span<const float> got,
                                       std::span<const float> want);

/// A share of `n` that --shrink leaves, at least `least`.
[[nodiscard]] std::uint32_t shrunk(const Bench& bench, std::uint32_t n, std::uint32_t least);

void add_product_benches(Bench& bench);
void add_norm_benches(Bench& bench);
void add_attention_benches(Bench& bench);
void add_argmax_benches(Bench& bench);
void add_sample_benches(Bench& bench);
void add_softmax_benches(Bench& bench);

}  // namespace preflight::bench
