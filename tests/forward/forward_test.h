#pragma once

// What the tests of the kernels share: one device for the whole program with validation on, the
// kernels' host side as it ships, buffers from values and back, and the comparison.

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/forward/kernels.h"
#include "engine/model/random_weights.h"
#include "vk/buffer.h"
#include "vk/commands.h"
#include "vk/device.h"
#include "vk/submit.h"
#include "vk/upload.h"

namespace preflight::forward {

/// The value of a result that must be one; its message is the failure.
template <class T>
T must(Result<T> result) {
  if (!result.has_value()) {
    ADD_FAILURE() << result.error().message;
    std::abort();
  }
  return std::move(result).value();
}

inline void must(const Result<void>& result) {
  if (result.has_value()) return;
  ADD_FAILURE() << result.error().message;
  std::abort();
}

/// How the variants of one kernel differ that a model never sees.
struct Variant {
  bool act16 = false;
  bool kv16 = false;
  bool wide = false;      ///< workgroups as on a graphics card instead of the device's own
  bool tiles = false;     ///< prefill in tiles, as on a graphics card
  bool coopmat = false;   ///< prefill on matrix units; goes with act16
  bool narrow = false;    ///< weight rows shared out among teams, as on a graphics card
  bool dot = false;       ///< integer dot products: of prefill, with narrow of generation
  bool passed = false;    ///< activations go from lane to lane, as on llvmpipe from 24 on
  bool shuffled = false;  ///< the same as on the older; goes with texels
  bool texels = false;    ///< planes as texels, as on llvmpipe before 26
  /// Planes by address, as on llvmpipe from 26 on; not with act16, tiles, coopmat, narrow or dot.
  bool addresses = false;
  /// The phase whose products this variant is about.
  [[nodiscard]] Phase phase() const {
    return tiles || coopmat || (dot && !narrow) ? Phase::kPrefill : Phase::kGenerate;
  }
  [[nodiscard]] std::string name() const;
};

/// What stands in a buffer that nothing has written; in expected values: must not be written.
inline constexpr float kUntouched = std::numeric_limits<float>::quiet_NaN();

class ForwardTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  static vk::Device& device();
  static vk::Submitter& submitter();
  static vk::Uploader& uploader();
  /// Whether the device and this build have what the variant needs.
  static bool can_run(const Variant& variant);
  /// Made once for each variant: pipelines are slow to make.
  static Kernels& kernels(const Variant& variant);

  template <class T>
  static vk::Buffer upload(std::span<const T> values) {
    return upload_bytes(std::as_bytes(values));
  }
  template <class T>
  static vk::Buffer upload(const std::vector<T>& values) {
    return upload_bytes(std::as_bytes(std::span(values)));
  }
  /// As float16 where `half`; the values are representable then (rounded()).
  static vk::Buffer upload_values(std::span<const float> values, bool half);
  /// n values of which each reads as kUntouched.
  static vk::Buffer untouched(std::size_t n, bool half = false);
  static std::vector<float> read_values(const vk::Buffer& buffer, std::size_t n, bool half = false);
  /// Records, submits and waits.
  static void run(const std::function<void(vk::CommandList&)>& record);

 private:
  static vk::Buffer upload_bytes(std::span<const std::byte> bytes);
  std::uint64_t messages_before_ = 0;
};

using model::normals;
/// To float16 and back, where `half`.
[[nodiscard]] std::vector<float> rounded(std::vector<float> values, bool half);

/// Half a unit in the last place of a float16 of this size.
[[nodiscard]] inline double half_rounding(double value) {
  return std::abs(value) * 0x1p-11 + 0x1p-25;
}

/// |got - want| <= tolerance(i) everywhere; where want is kUntouched, got must be.
[[nodiscard]] testing::AssertionResult near(std::span<const float> got, std::span<const float> want,
                                            const std::function<double(std::size_t)>& tolerance);
[[nodiscard]] testing::AssertionResult near(std::span<const float> got, std::span<const float> want,
                                            double tolerance);
/// The same bits.
[[nodiscard]] testing::AssertionResult same(std::span<const float> got,
                                            std::span<const float> want);

/// What a product and a gated product give for some activation rows: [rows, n_outputs] and
/// [rows, padded(n_outputs)].
using ProductsOf = std::function<std::pair<std::vector<float>, std::vector<float>>(
    std::uint32_t first, std::uint32_t n)>;
/// Every row's results, taken `counts` at a time from several places, have the bits that they have
/// among all `n_rows`.
void expect_equal_in_company(const ProductsOf& products, std::uint32_t n_rows,
                             std::uint32_t n_outputs, const std::vector<std::uint32_t>& counts);

}  // namespace preflight::forward
