// quantise.comp and the products that read its codes against their twins, through the host code
// that ships.

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <tuple>

#include "engine/forward/dot_products.h"
#include "engine/model/blocks.h"
#include "engine/reference/gate_up.h"
#include "engine/reference/matmul.h"
#include "engine/reference/quantise.h"
#include "shaders/params/step.h"
#include "tests/forward/forward_test.h"
#include "tests/forward/random_matrix.h"

namespace preflight::forward {
namespace {

using model::TensorType;

constexpr std::uint32_t kBlock = params::kWeightBlock;

/// A product's input in both forms, and the values that its codes stand for.
struct Rows {
  vk::Buffer x, codes, scales;
  std::vector<float> values;
  [[nodiscard]] QuantisedInput quantised() const { return {vk::whole(codes), vk::whole(scales)}; }
};

class DotTest : public ForwardTest {
 protected:
  void SetUp() override {
    ForwardTest::SetUp();
    if (!can_run_dot(device().description())) GTEST_SKIP() << "this device has no such kernels";
  }
  static WeightMatrix load(const RandomMatrix& from, const Kernels& k) {
    return must(load_matrix(device(), uploader(), from.tensor, k.interleave(),
                            kernel_type(from.tensor.type)));
  }
  static std::vector<std::int8_t> read_codes(const vk::Buffer& buffer, std::size_t n) {
    std::vector<std::int8_t> codes(n);
    must(uploader().read(buffer, 0, std::as_writable_bytes(std::span(codes))));
    return codes;
  }
  /// Uploads rows and rounds them on the device.
  static Rows quantise(Kernels& k, std::span<const float> x, std::uint32_t cols) {
    const std::size_t n_blocks = x.size() / kBlock;
    Rows rows{.x = upload_values(x, k.options().act16),
              .codes = untouched(x.size() / sizeof(float)),
              .scales = untouched(n_blocks * 2),
              .values = std::vector<float>(x.size())};
    ProductOp reader;
    reader.prefill.reads_codes = true;
    const std::array<const ProductOp*, 1> readers = {&reader};
    const QuantiseOp op =
        must(QuantiseOp::create(k, vk::whole(rows.x), cols, rows.quantised(), readers));
    const auto n_rows = static_cast<std::uint32_t>(x.size() / cols);
    run([&](vk::CommandList& list) { op.record(list, n_rows, Phase::kPrefill); });
    reference::dequantise(read_codes(rows.codes, x.size()), read_values(rows.scales, n_blocks * 2),
                          rows.values);
    return rows;
  }
};

class Quantise : public DotTest, public testing::WithParamInterface<Variant> {};

TEST_P(Quantise, MatchesTheTwin) {
  Kernels& k = kernels(GetParam());
  constexpr std::uint32_t kRows = 5, kBlocks = 67;  // more blocks than a workgroup has lanes
  std::vector<float> x = normals(std::size_t{kRows} * kBlocks * kBlock, 21, 2.0f);
  const auto block = [&](std::size_t n) { return std::span(x).subspan(n * kBlock, kBlock); };
  std::ranges::fill(block(0), 0.0f);
  std::ranges::fill(block(1), -3.0f);  // all at the largest code
  std::ranges::fill(block(2), 0.0f);
  block(2)[31] = 0x1p-24f;  // float16's smallest
  for (float& value : block(3)) value *= 5000.0f;
  std::ranges::fill(block(4), 0.5f);  // ties: with 127 beside them codes are halves
  block(4)[7] = 127.0f;
  block(4)[8] = 1.5f;
  block(4)[9] = -2.5f;
  x = rounded(std::move(x), GetParam().act16);

  const Rows rows = quantise(k, x, kBlocks * kBlock);
  std::vector<std::int8_t> want(x.size());
  std::vector<float> want_scales(x.size() / kBlock * 2);
  reference::quantise(x, want, want_scales, kRows, {.n_blocks = kBlocks});
  const auto got = read_codes(rows.codes, x.size());
  const auto scales = read_values(rows.scales, want_scales.size());
  std::size_t n_other = 0;
  for (std::size_t i = 0; i < x.size(); i++) {
    if (got[i] == want[i]) continue;
    // The device's quotient may be off in its last bits where the exact one is next to a tie.
    const double quotient = double{x[i]} / want_scales[i / kBlock * 2];
    ASSERT_NEAR(std::abs(quotient - std::trunc(quotient)), 0.5, 1e-4) << i;
    ASSERT_LE(std::abs(got[i] - want[i]), 1) << i;
    n_other++;
  }
  EXPECT_LE(n_other, 2u);
  EXPECT_EQ(got[4 * kBlock], 0) << "0.5 to even";
  EXPECT_EQ(got[4 * kBlock + 8], 2) << "1.5 to even";
  EXPECT_EQ(got[4 * kBlock + 9], -2) << "-2.5 to even";
  for (std::size_t b = 0; b < scales.size() / 2; b++) {
    const auto own = std::span(got).subspan(b * kBlock, kBlock);
    const double sum = std::accumulate(own.begin(), own.end(), 0);
    EXPECT_NEAR(scales[2 * b], want_scales[2 * b], want_scales[2 * b] * 1e-6) << b;
    EXPECT_NEAR(scales[2 * b + 1], sum * want_scales[2 * b],
                std::abs(sum) * want_scales[2 * b] * 1e-6)
        << b;
  }
}

INSTANTIATE_TEST_SUITE_P(Variants, Quantise,
                         testing::Values(Variant{.dot = true}, Variant{.act16 = true, .dot = true}),
                         [](const auto& instance) { return instance.param.name(); });

class DotProduct : public DotTest,
                   public testing::WithParamInterface<std::tuple<TensorType, Variant>> {
 protected:
  /// Row lengths of one block and of an odd number of them where the type has such.
  static std::vector<std::pair<std::uint32_t, std::uint32_t>> shapes(TensorType type) {
    if (model::block_values(type) == 32) return {{1, 32}, {37, 96}, {150, 160}};
    return {{1, 256}, {37, 512}, {150, 768}};
  }
};

TEST_P(DotProduct, MatchesTheTwin) {
  const auto& [type, variant] = GetParam();
  Kernels& k = kernels(variant);
  for (const auto& [rows, cols] : shapes(type)) {
    const RandomMatrix w(type, rows, cols, 1);
    const WeightMatrix matrix = load(w, k);
    constexpr std::uint32_t kMost = 70;
    const Rows x =
        quantise(k, rounded(normals(std::size_t{kMost} * cols, 3, 1.0f), variant.act16), cols);
    const QuantisedInput quantised = x.quantised();
    const std::uint32_t y_stride = rows + 5;
    for (const std::uint32_t n : {1u, 9u, kMost}) {
      const vk::Buffer y = untouched(std::size_t{n} * y_stride);
      const ProductOp op = must(make_product(k, matrix,
                                             {.x = vk::whole(x.x),
                                              .y = vk::whole(y),
                                              .x_stride = cols,
                                              .y_stride = y_stride,
                                              .y_offset = 3,
                                              .quantised = &quantised}));
      ASSERT_TRUE(op.family(variant.phase()).reads_codes);
      run([&](vk::CommandList& list) { op.record(list, n, variant.phase()); });
      const params::MatmulParams p{.n_columns = n,
                                   .n_blocks = matrix.shape.n_blocks,
                                   .n_rows = rows,
                                   .x_stride_vec4 = cols / 4,
                                   .y_stride = y_stride,
                                   .y_offset = 3,
                                   .gather = 0,
                                   .soft_cap = 0};
      std::vector<float> want(std::size_t{n} * y_stride, kUntouched);
      reference::matmul(w.values, x.values, want, {}, {}, p);
      std::vector<float> size(want.size(), 0.0f);
      reference::matmul(magnitudes(w.values), magnitudes(x.values), size, {}, {}, p);
      EXPECT_TRUE(near(read_values(y, want.size()), want,
                       [&](std::size_t i) { return sum_error(cols) * size[i]; }))
          << rows << " x " << cols << ", " << n << " columns";
    }
  }
}

TEST_P(DotProduct, GateUpMatchesTheTwin) {
  const auto& [type, variant] = GetParam();
  Kernels& k = kernels(variant);
  for (const auto& [rows, cols] : shapes(type)) {
    const RandomMatrix gate(type, rows, cols, 4);
    const RandomMatrix up(type, rows, cols, 5);
    const WeightMatrix gate_matrix = load(gate, k);
    const WeightMatrix up_matrix = load(up, k);
    constexpr std::uint32_t kColumns = 66;
    // Random scales make large weights; the product of two sums has to fit a float16.
    const Rows x =
        quantise(k, rounded(normals(std::size_t{kColumns} * cols, 3, 0.05f), variant.act16), cols);
    const QuantisedInput quantised = x.quantised();
    const vk::Buffer y = untouched(std::size_t{kColumns} * padded(rows), variant.act16);
    const ProductOp op = must(make_gate_up(k, gate_matrix, up_matrix, vk::whole(x.x), cols,
                                           vk::whole(y), padded(rows), &quantised));
    ASSERT_TRUE(op.family(variant.phase()).reads_codes);
    run([&](vk::CommandList& list) { op.record(list, kColumns, variant.phase()); });
    const params::MatmulParams p{.n_columns = kColumns,
                                 .n_blocks = gate_matrix.shape.n_blocks,
                                 .n_rows = rows,
                                 .x_stride_vec4 = cols / 4,
                                 .y_stride = padded(rows),
                                 .y_offset = 0,
                                 .gather = 0,
                                 .soft_cap = 0};
    std::vector<float> want(std::size_t{kColumns} * padded(rows), kUntouched);
    reference::gate_up(gate.values, up.values, x.values, want, p);
    // Each branch and the sum of its products' magnitudes, for the bound.
    std::array<std::vector<float>, 4> part;
    part.fill(std::vector<float>(want.size(), 0.0f));
    reference::matmul(gate.values, x.values, part[0], {}, {}, p);
    reference::matmul(up.values, x.values, part[1], {}, {}, p);
    reference::matmul(magnitudes(gate.values), magnitudes(x.values), part[2], {}, {}, p);
    reference::matmul(magnitudes(up.values), magnitudes(x.values), part[3], {}, {}, p);
    // An odd last row's float16 shares its word with padding, which the kernel sets to zero.
    if (variant.act16 && rows % 2 == 1)
      for (std::uint32_t c = 0; c < kColumns; c++) want[std::size_t{c} * padded(rows) + rows] = 0;
    const auto tolerance = [&](std::size_t i) {  // as in product_test.cpp
      const double g = std::abs(part[0][i]);
      const double u = std::abs(part[1][i]);
      const double sums = sum_error(cols) * (1.13 * part[2][i] * (u + 1) + (g + 1) * part[3][i]);
      return sums + 2e-6 * g * u + (variant.act16 ? half_rounding(want[i]) : 0) + 1e-30;
    };
    EXPECT_TRUE(near(read_values(y, want.size(), variant.act16), want, tolerance))
        << rows << " x " << cols;
  }
}

// One activation of 127 among zeros is the code 127 under the scale 1: the product is the weight
// times 127.
TEST_P(DotProduct, EveryWeightIsTheFiles) {
  const auto& [type, variant] = GetParam();
  Kernels& k = kernels(variant);
  constexpr std::uint32_t kRows = 20, kCols = 256;
  std::vector<float> identity(std::size_t{kCols} * kCols, 0.0f);
  for (std::size_t i = 0; i < kCols; i++) identity[i * kCols + i] = 127.0f;
  const Rows x = quantise(k, identity, kCols);
  const QuantisedInput quantised = x.quantised();
  const RandomMatrix w(type, kRows, kCols, 9);
  const WeightMatrix matrix = load(w, k);
  const vk::Buffer y = untouched(std::size_t{kCols} * kRows);
  const ProductOp op = must(make_product(k, matrix,
                                         {.x = vk::whole(x.x),
                                          .y = vk::whole(y),
                                          .x_stride = kCols,
                                          .y_stride = kRows,
                                          .quantised = &quantised}));
  run([&](vk::CommandList& list) { op.record(list, kCols, variant.phase()); });
  const auto got = read_values(y, std::size_t{kCols} * kRows);
  float largest = 0;
  for (const float value : w.values) largest = std::max(largest, std::abs(value));
  for (std::size_t row = 0; row < kRows; row++)
    for (std::size_t col = 0; col < kCols; col++)
      ASSERT_NEAR(got[col * kRows + row], 127.0 * w.values[row * kCols + col],
                  127.0 * largest * 0x1p-21)
          << "row " << row << " column " << col;
}

TEST_P(DotProduct, RowsAreBitEqualInAnyCompany) {
  const auto& [type, variant] = GetParam();
  Kernels& k = kernels(variant);
  constexpr std::uint32_t kRows = 19, kMost = 70;
  const std::uint32_t cols = std::max(model::block_values(type), 32u) * 3;
  const RandomMatrix w(type, kRows, cols, 10);
  const RandomMatrix up(type, kRows, cols, 11);
  const WeightMatrix matrix = load(w, k);
  const WeightMatrix up_matrix = load(up, k);
  const auto x = rounded(normals(std::size_t{kMost} * cols, 12, 0.05f), variant.act16);
  const auto products = [&](std::uint32_t first, std::uint32_t n) {
    const Rows in =
        quantise(k, std::span(x).subspan(std::size_t{first} * cols, std::size_t{n} * cols), cols);
    const QuantisedInput quantised = in.quantised();
    const vk::Buffer y = untouched(std::size_t{n} * kRows);
    const vk::Buffer gated = untouched(std::size_t{n} * padded(kRows), variant.act16);
    const ProductOp op = must(make_product(k, matrix,
                                           {.x = vk::whole(in.x),
                                            .y = vk::whole(y),
                                            .x_stride = cols,
                                            .y_stride = kRows,
                                            .quantised = &quantised}));
    const ProductOp gate_op = must(make_gate_up(k, matrix, up_matrix, vk::whole(in.x), cols,
                                                vk::whole(gated), padded(kRows), &quantised));
    run([&](vk::CommandList& list) {
      op.record(list, n, variant.phase());
      gate_op.record(list, n, variant.phase());
    });
    return std::pair(read_values(y, std::size_t{n} * kRows),
                     read_values(gated, std::size_t{n} * padded(kRows), variant.act16));
  };
  expect_equal_in_company(products, kMost, kRows, {1, 3, 65});
}

INSTANTIATE_TEST_SUITE_P(
    Types, DotProduct,
    testing::Combine(testing::Values(TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kQ4_K,
                                     TensorType::kQ6_K),
                     testing::Values(Variant{.dot = true}, Variant{.act16 = true, .dot = true},
                                     Variant{.act16 = true, .wide = true, .dot = true},
                                     Variant{.narrow = true, .dot = true},
                                     Variant{.act16 = true, .narrow = true, .dot = true})),
    [](const auto& instance) {
      return std::string(model::type_name(std::get<0>(instance.param))) +
             std::get<1>(instance.param).name();
    });

class DotEpilogue : public DotTest, public testing::WithParamInterface<Variant> {};

TEST_P(DotEpilogue, GatherSoftCapAndBias) {
  const Variant& variant = GetParam();
  Kernels& k = kernels(variant);
  constexpr std::uint32_t kRows = 45, kCols = 64;
  const RandomMatrix w(TensorType::kQ4_0, kRows, kCols, 6);
  const WeightMatrix matrix = load(w, k);
  const Rows x = quantise(k, normals(std::size_t{8} * kCols, 3, 1.0f), kCols);
  const QuantisedInput quantised = x.quantised();
  const std::vector<std::uint32_t> gather = {7, 0, 3, 3, 6};
  const vk::Buffer gather_buffer = upload(gather);
  const vk::Slice gather_slice = vk::whole(gather_buffer);
  const auto bias = normals(kRows, 7, 2.0f);
  const vk::Buffer bias_buffer = upload(bias);
  const vk::Slice bias_slice = vk::whole(bias_buffer);
  const auto n = static_cast<std::uint32_t>(gather.size());
  params::MatmulParams p{.n_columns = n,
                         .n_blocks = kCols / 32,
                         .n_rows = kRows,
                         .x_stride_vec4 = kCols / 4,
                         .y_stride = kRows,
                         .y_offset = 0,
                         .gather = 1,
                         .soft_cap = 0.8f};  // far inside the values' range: most are bent
  const auto product = [&](const ProductOptions& options, std::span<const float> added) {
    const vk::Buffer y = untouched(std::size_t{n} * kRows);
    ProductOptions full = options;
    full.x = vk::whole(x.x);
    full.y = vk::whole(y);
    full.x_stride = kCols;
    full.y_stride = kRows;
    full.quantised = &quantised;
    const ProductOp op = must(make_product(k, matrix, full));
    run([&](vk::CommandList& list) { op.record(list, n, variant.phase()); });
    std::vector<float> want(std::size_t{n} * kRows);
    reference::matmul(w.values, x.values, want, gather, added, p);
    // As in product_test.cpp: sums of magnitudes of at most 30, and tanh.
    EXPECT_TRUE(near(read_values(y, want.size()), want, sum_error(kCols) * 30 + 3e-6));
  };
  product({.x = {}, .y = {}, .gather_rows = &gather_slice, .soft_cap = 0.8f}, {});
  p.soft_cap = 0;
  p.gather = 0;
  product({.x = {}, .y = {}, .bias = &bias_slice}, bias);
}

INSTANTIATE_TEST_SUITE_P(Variants, DotEpilogue,
                         testing::Values(Variant{.dot = true},
                                         Variant{.narrow = true, .dot = true}),
                         [](const auto& instance) { return instance.param.name(); });

// Generation without teams reads the input itself, and so does prefill of a type without codes.
TEST_F(DotTest, WhatIsNoDotProductIsAsInOtherTiers) {
  Kernels& k = kernels({.act16 = true, .dot = true});
  Kernels& without = kernels({.act16 = true});
  constexpr std::uint32_t kRows = 37, kCols = 96, kColumns = 3;
  const auto x = rounded(normals(std::size_t{kColumns} * kCols, 3, 1.0f), true);
  const Rows rows = quantise(k, x, kCols);
  const QuantisedInput quantised = rows.quantised();
  const auto product = [&](Kernels& with, const WeightMatrix& matrix, Phase phase) {
    const vk::Buffer y = untouched(std::size_t{kColumns} * kRows);
    const ProductOp op = must(make_product(with, matrix,
                                           {.x = vk::whole(rows.x),
                                            .y = vk::whole(y),
                                            .x_stride = kCols,
                                            .y_stride = kRows,
                                            .quantised = &quantised}));
    run([&](vk::CommandList& list) { op.record(list, kColumns, phase); });
    return read_values(y, std::size_t{kColumns} * kRows);
  };
  const RandomMatrix packed(TensorType::kQ4_0, kRows, kCols, 1);
  const RandomMatrix plain(TensorType::kF16, kRows, kCols, 1);
  const WeightMatrix packed_matrix = load(packed, k);
  const WeightMatrix plain_matrix = load(plain, k);
  EXPECT_TRUE(same(product(k, packed_matrix, Phase::kGenerate),
                   product(without, packed_matrix, Phase::kGenerate)));
  EXPECT_FALSE(same(product(k, packed_matrix, Phase::kPrefill),
                    product(without, packed_matrix, Phase::kPrefill)));
  EXPECT_TRUE(same(product(k, plain_matrix, Phase::kPrefill),
                   product(without, plain_matrix, Phase::kPrefill)));
}

}  // namespace
}  // namespace preflight::forward
