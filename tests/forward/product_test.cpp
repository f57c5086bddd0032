// matmul.comp, gate_up.comp, matvec.comp and gate_up_vec.comp against their twins, through the host
// code that ships.

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "engine/model/blocks.h"
#include "engine/reference/gate_up.h"
#include "engine/reference/matmul.h"
#include "tests/forward/forward_test.h"
#include "tests/forward/random_matrix.h"

namespace preflight::forward {
namespace {

using model::TensorType;

constexpr std::array kTypes = {TensorType::kF32,  TensorType::kF16,    TensorType::kBF16,
                               TensorType::kQ8_0, TensorType::kQ4_0,   TensorType::kQ4_K,
                               TensorType::kQ6_K, TensorType::kQ4_1,   TensorType::kQ5_0,
                               TensorType::kQ5_1, TensorType::kQ2_K,   TensorType::kQ3_K,
                               TensorType::kQ5_K, TensorType::kIQ4_NL, TensorType::kIQ4_XS};

/// Rows and columns of a matrix: one row, rows no multiple of any lane count, many; row lengths
/// that no block divides where the type has no blocks, an odd number of blocks else.
std::vector<std::pair<std::uint32_t, std::uint32_t>> shapes(TensorType type) {
  switch (model::block_values(type)) {
    case 1:
      return {{1, 4}, {37, 100}, {150, 96}};
    case 32:
      return {{1, 32}, {37, 96}, {150, 160}};
    default:
      return {{1, 256}, {37, 512}, {150, 768}};
  }
}

/// Activation rows of `cols` values with 7 in the padding: what stands there meets zero weights.
std::vector<float> activations(std::uint32_t n_rows, std::uint32_t cols, bool half,
                               float sigma = 1.0f) {
  std::vector<float> x(std::size_t{n_rows} * padded(cols), 7.0f);
  const auto values = rounded(normals(std::size_t{n_rows} * cols, 3, sigma), half);
  for (std::uint32_t r = 0; r < n_rows; r++)
    std::copy_n(values.begin() + std::ptrdiff_t{r} * cols, cols,
                x.begin() + static_cast<std::ptrdiff_t>(std::size_t{r} * padded(cols)));
  return x;
}

/// The weights as the kernels of a variant multiply them.
std::vector<float> multiplied(const std::vector<float>& weights, const Variant& variant) {
  return rounded(weights, variant.coopmat);
}

/// Numbers of activation rows: each has a pipeline or a tile of its own.
std::vector<std::uint32_t> column_counts(const Variant& variant) {
  if (variant.phase() == Phase::kPrefill) return {1, 9, 150};
  return variant.narrow ? std::vector<std::uint32_t>{1, 2, 3, 5, 9, 17}
                        : std::vector<std::uint32_t>{1, 2, 3, 4, 9};
}

class ProductTest : public ForwardTest {
 protected:
  static WeightMatrix load(const model::Tensor& tensor, const Kernels& k, KernelType as) {
    return must(load_matrix(device(), uploader(), tensor, k.interleave(), as));
  }
};

using TypeAndVariant = std::tuple<TensorType, Variant>;

std::string name_of(const testing::TestParamInfo<TypeAndVariant>& instance) {
  const auto& [type, variant] = instance.param;
  return std::string(model::type_name(type)) + variant.name();
}

class ProductOfType : public ProductTest, public testing::WithParamInterface<TypeAndVariant> {
 protected:
  void SetUp() override {
    ProductTest::SetUp();
    if (!can_run(std::get<1>(GetParam()))) GTEST_SKIP() << "this device has no such kernels";
  }
};

TEST_P(ProductOfType, MatchesTheTwin) {
  const auto& [type, variant] = GetParam();
  Kernels& k = kernels(variant);
  for (const auto& [rows, cols] : shapes(type)) {
    const RandomMatrix w(type, rows, cols, 1);
    const WeightMatrix matrix = load(w.tensor, k, kernel_type(type));
    const auto weights = multiplied(w.values, variant);
    const auto counts = column_counts(variant);
    const auto x = activations(counts.back(), cols, variant.act16);
    const vk::Buffer x_buffer = upload_values(x, variant.act16);
    const std::uint32_t y_stride = rows + 5;
    for (const std::uint32_t n : counts) {
      const vk::Buffer y = untouched(std::size_t{n} * y_stride);
      const ProductOp op = must(make_product(k, matrix,
                                             {.x = vk::whole(x_buffer),
                                              .y = vk::whole(y),
                                              .x_stride = padded(cols),
                                              .y_stride = y_stride,
                                              .y_offset = 3}));
      run([&](vk::CommandList& list) { op.record(list, n, variant.phase()); });

      const params::MatmulParams p{.n_columns = n,
                                   .n_blocks = matrix.shape.n_blocks,
                                   .n_rows = rows,
                                   .x_stride_vec4 = padded(cols) / 4,
                                   .y_stride = y_stride,
                                   .y_offset = 3,
                                   .gather = 0,
                                   .soft_cap = 0};
      std::vector<float> want(std::size_t{n} * y_stride, kUntouched);
      reference::matmul(weights, x, want, {}, {}, p);
      std::vector<float> size(want.size(), 0.0f);
      reference::matmul(magnitudes(weights), magnitudes(x), size, {}, {}, p);
      EXPECT_TRUE(near(read_values(y, want.size()), want,
                       [&](std::size_t i) { return sum_error(cols) * size[i]; }))
          << rows << " x " << cols << ", " << n << " columns";
    }
  }
}

TEST_P(ProductOfType, GateUpMatchesTheTwin) {
  const auto& [type, variant] = GetParam();
  Kernels& k = kernels(variant);
  for (const auto& [rows, cols] : shapes(type)) {
    const RandomMatrix gate(type, rows, cols, 4);
    const RandomMatrix up(type, rows, cols, 5);
    const WeightMatrix gate_matrix = load(gate.tensor, k, kernel_type(type));
    const WeightMatrix up_matrix = load(up.tensor, k, kernel_type(type));
    const auto gate_weights = multiplied(gate.values, variant);
    const auto up_weights = multiplied(up.values, variant);
    const auto counts = column_counts(variant);
    // Random scales make large weights; the product of two sums has to fit a float16.
    const auto x = activations(counts.back(), cols, variant.act16, 0.05f);
    const vk::Buffer x_buffer = upload_values(x, variant.act16);
    for (const std::uint32_t n : counts) {
      const vk::Buffer y = untouched(std::size_t{n} * padded(rows), variant.act16);
      const ProductOp op = must(make_gate_up(k, gate_matrix, up_matrix, vk::whole(x_buffer),
                                             padded(cols), vk::whole(y), padded(rows)));
      run([&](vk::CommandList& list) { op.record(list, n, variant.phase()); });

      const params::MatmulParams p{.n_columns = n,
                                   .n_blocks = gate_matrix.shape.n_blocks,
                                   .n_rows = rows,
                                   .x_stride_vec4 = padded(cols) / 4,
                                   .y_stride = padded(rows),
                                   .y_offset = 0,
                                   .gather = 0,
                                   .soft_cap = 0};
      std::vector<float> want(std::size_t{n} * padded(rows), kUntouched);
      reference::gate_up(gate_weights, up_weights, x, want, p);
      // Each branch and the sum of its products' magnitudes, for the bound.
      std::array<std::vector<float>, 4> part;
      part.fill(std::vector<float>(want.size(), 0.0f));
      reference::matmul(gate_weights, x, part[0], {}, {}, p);
      reference::matmul(up_weights, x, part[1], {}, {}, p);
      reference::matmul(magnitudes(gate_weights), magnitudes(x), part[2], {}, {}, p);
      reference::matmul(magnitudes(up_weights), magnitudes(x), part[3], {}, {}, p);
      // An odd last row's float16 shares its word with padding, which the kernel sets to zero.
      if (variant.act16 && rows % 2 == 1)
        for (std::uint32_t c = 0; c < n; c++) want[std::size_t{c} * padded(rows) + rows] = 0;

      const auto tolerance = [&](std::size_t i) {
        // Both sums' errors pass the gate (its slope is below 1.13); tanh may be off by
        // 4e-6 (its drivers' exp), which the gate multiplies by half the value; and y is rounded.
        const double g = std::abs(part[0][i]);
        const double u = std::abs(part[1][i]);
        const double sums = sum_error(cols) * (1.13 * part[2][i] * (u + 1) + (g + 1) * part[3][i]);
        return sums + 2e-6 * g * u + (variant.act16 ? half_rounding(want[i]) : 0) + 1e-30;
      };
      EXPECT_TRUE(near(read_values(y, want.size(), variant.act16), want, tolerance))
          << rows << " x " << cols << ", " << n << " columns";
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ProductOfType,
                         testing::Combine(testing::ValuesIn(kTypes),
                                          testing::Values(Variant{}, Variant{.act16 = true})),
                         name_of);

INSTANTIATE_TEST_SUITE_P(Narrow, ProductOfType,
                         testing::Combine(testing::Values(TensorType::kF32, TensorType::kF16,
                                                          TensorType::kBF16, TensorType::kQ8_0,
                                                          TensorType::kQ4_0, TensorType::kQ4_K,
                                                          TensorType::kQ6_K, TensorType::kQ5_K),
                                          testing::Values(Variant{.narrow = true},
                                                          Variant{.act16 = true, .narrow = true})),
                         name_of);

INSTANTIATE_TEST_SUITE_P(
    Passed, ProductOfType,
    testing::Combine(testing::Values(TensorType::kF32, TensorType::kF16, TensorType::kQ8_0,
                                     TensorType::kQ4_0, TensorType::kQ4_K, TensorType::kQ6_K),
                     testing::Values(Variant{.passed = true},
                                     Variant{.act16 = true, .passed = true},
                                     Variant{.texels = true},
                                     Variant{.passed = true, .texels = true},
                                     Variant{.shuffled = true, .texels = true})),
    name_of);

INSTANTIATE_TEST_SUITE_P(Addresses, ProductOfType,
                         testing::Combine(testing::ValuesIn(kTypes),
                                          testing::Values(Variant{.addresses = true})),
                         name_of);

// Cards have wider groups than a CPU driver; one packed and one plain type stand for all, since the
// lanes only decide where a row lies.
INSTANTIATE_TEST_SUITE_P(WideGroups, ProductOfType,
                         testing::Combine(testing::Values(TensorType::kF16, TensorType::kQ6_K),
                                          testing::Values(Variant{.wide = true},
                                                          Variant{.act16 = true, .wide = true})),
                         name_of);

// Prefill in tiles, and on matrix units where the device has them: one type for each way of
// decoding.
INSTANTIATE_TEST_SUITE_P(
    Tiles, ProductOfType,
    testing::Combine(testing::Values(TensorType::kF32, TensorType::kF16, TensorType::kBF16,
                                     TensorType::kQ8_0, TensorType::kQ4_0, TensorType::kQ4_K,
                                     TensorType::kQ6_K, TensorType::kQ5_K),
                     testing::Values(Variant{.tiles = true}, Variant{.act16 = true, .tiles = true},
                                     Variant{.act16 = true, .wide = true, .tiles = true},
                                     Variant{.act16 = true, .coopmat = true},
                                     Variant{.act16 = true, .wide = true, .coopmat = true})),
    name_of);

class Epilogues : public ProductTest, public testing::WithParamInterface<Variant> {};

TEST_P(Epilogues, GatherSoftCapAndBias) {
  const Variant& variant = GetParam();
  if (!can_run(variant)) GTEST_SKIP() << "this device has no such kernels";
  Kernels& k = kernels(variant);
  constexpr std::uint32_t kRows = 45, kCols = 64;
  const RandomMatrix w(TensorType::kQ4_0, kRows, kCols, 6);
  const WeightMatrix matrix = load(w.tensor, k, KernelType::kQ4_0);
  const auto weights = multiplied(w.values, variant);
  const auto x = activations(8, kCols, variant.act16);
  const vk::Buffer x_buffer = upload_values(x, variant.act16);
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
                         .soft_cap = 0};
  const auto product = [&](const ProductOptions& options, std::span<const float> added) {
    const vk::Buffer y = untouched(std::size_t{n} * kRows);
    ProductOptions full = options;
    full.x = vk::whole(x_buffer);
    full.y = vk::whole(y);
    full.x_stride = kCols;
    full.y_stride = kRows;
    const ProductOp op = must(make_product(k, matrix, full));
    run([&](vk::CommandList& list) { op.record(list, n, variant.phase()); });
    std::vector<float> want(std::size_t{n} * kRows);
    reference::matmul(weights, x, want, gather, added, p);
    // sum_error of products whose magnitudes add to at most 30, and tanh (4e-6 times a cap of 0.8).
    EXPECT_TRUE(near(read_values(y, want.size()), want, sum_error(kCols) * 30 + 3e-6));
  };
  product({.x = {}, .y = {}, .gather_rows = &gather_slice}, {});
  p.soft_cap = 0.8f;  // far inside the values' range: most are bent
  product({.x = {}, .y = {}, .gather_rows = &gather_slice, .soft_cap = 0.8f}, {});
  p.soft_cap = 0;
  p.gather = 0;
  product({.x = {}, .y = {}, .bias = &bias_slice}, bias);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Epilogues,
                         testing::Values(Variant{}, Variant{.addresses = true},
                                         Variant{.tiles = true}, Variant{.narrow = true},
                                         Variant{.act16 = true, .coopmat = true}),
                         [](const auto& instance) { return instance.param.name(); });

class Parts : public ProductTest, public testing::WithParamInterface<Variant> {};

TEST_P(Parts, AMatrixCutIntoPartsIsOneMatrix) {
  if (!can_run(GetParam())) GTEST_SKIP() << "this device has no such kernels";
  Kernels& k = kernels(GetParam());
  const std::uint32_t lanes = k.options().tuning.weight_lanes;
  constexpr std::uint32_t kCols = 96;
  const std::uint32_t first_rows = 3 * lanes;
  const std::uint32_t rows = first_rows + lanes + 1;
  const RandomMatrix w(TensorType::kQ8_0, rows, kCols, 8);
  const auto row_bytes = w.bytes.size() / rows;
  const auto piece = [&](std::uint32_t first, std::uint32_t n) {
    model::Tensor tensor = w.tensor;
    tensor.rows = n;
    tensor.bytes = std::span(w.bytes).subspan(first * row_bytes, n * row_bytes);
    return load(tensor, k, KernelType::kQ8_0);
  };
  // As load_matrix cuts where one binding cannot see the whole; no driver here has limits so low.
  WeightMatrix first = piece(0, first_rows);
  WeightMatrix second = piece(first_rows, rows - first_rows);
  second.parts.front().first_row = first_rows;
  WeightMatrix cut{.shape = load(w.tensor, k, KernelType::kQ8_0).shape, .parts = {}};
  cut.parts.push_back(std::move(first.parts.front()));
  cut.parts.push_back(std::move(second.parts.front()));
  for (WeightPart& part : cut.parts)
    part.quants.buffer = part.scales.buffer = part.high.buffer = &part.buffer;

  const auto x = activations(2, kCols, false);
  const vk::Buffer x_buffer = upload(x);
  const auto product = [&](const WeightMatrix& matrix) {
    const vk::Buffer y = untouched(std::size_t{2} * rows);
    const ProductOp op = must(make_product(
        k, matrix,
        {.x = vk::whole(x_buffer), .y = vk::whole(y), .x_stride = kCols, .y_stride = rows}));
    run([&](vk::CommandList& list) { op.record(list, 2, Phase::kGenerate); });
    return read_values(y, std::size_t{2} * rows);
  };
  EXPECT_TRUE(same(product(cut), product(load(w.tensor, k, KernelType::kQ8_0))));
}

INSTANTIATE_TEST_SUITE_P(Kernels, Parts, testing::Values(Variant{}, Variant{.addresses = true}),
                         [](const auto& instance) { return instance.param.name(); });

// The product with the identity is the matrix: every weight is the file's, to the bit, as its own
// type and as those that hold its values.
class Identity : public ProductTest, public testing::WithParamInterface<Variant> {};

TEST_P(Identity, EveryWeightIsTheFiles) {
  if (!can_run(GetParam())) GTEST_SKIP() << "this device has no such kernels";
  Kernels& k = kernels(GetParam());
  constexpr std::uint32_t kRows = 20, kCols = 256;
  std::vector<float> identity(std::size_t{kCols} * kCols, 0.0f);
  for (std::size_t i = 0; i < kCols; i++) identity[i * kCols + i] = 1.0f;
  const vk::Buffer x_buffer = upload(identity);
  for (const TensorType type : kTypes) {
    const RandomMatrix w(type, kRows, kCols, 9);
    const auto expect_weights = [&](KernelType as) {
      const WeightMatrix matrix = load(w.tensor, k, as);
      const vk::Buffer y = untouched(std::size_t{kCols} * kRows);
      const ProductOp op = must(make_product(
          k, matrix,
          {.x = vk::whole(x_buffer), .y = vk::whole(y), .x_stride = kCols, .y_stride = kRows}));
      run([&](vk::CommandList& list) { op.record(list, kCols, Phase::kGenerate); });
      const auto got = read_values(y, std::size_t{kCols} * kRows);
      for (std::size_t row = 0; row < kRows; row++)
        for (std::size_t col = 0; col < kCols; col++)
          ASSERT_EQ(got[col * kRows + row], w.values[row * kCols + col])
              << model::type_name(type) << " row " << row << " column " << col;
    };
    expect_weights(kernel_type(type));
    expect_weights(KernelType::kF32);
    if (model::block_values(type) > 1) expect_weights(KernelType::kAffine8);
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, Identity, testing::Values(Variant{}, Variant{.addresses = true}),
                         [](const auto& instance) { return instance.param.name(); });

class Saturation : public ProductTest, public testing::WithParamInterface<Variant> {};

TEST_P(Saturation, GatedProductsPastFloat16) {
  const Variant& variant = GetParam();
  if (!can_run(variant)) GTEST_SKIP() << "this device has no such kernels";
  Kernels& k = kernels(variant);
  constexpr std::uint32_t kRows = 20, kCols = 32;
  const RandomMatrix gate(TensorType::kF32, kRows, kCols, 12);
  const RandomMatrix up(TensorType::kF32, kRows, kCols, 13);
  const WeightMatrix gate_matrix = load(gate.tensor, k, KernelType::kF32);
  const WeightMatrix up_matrix = load(up.tensor, k, KernelType::kF32);
  const std::vector<float> x(kCols, 4096.0f);
  const vk::Buffer in = upload_values(x, true);
  const vk::Buffer y = untouched(padded(kRows), true);
  const ProductOp op = must(
      make_gate_up(k, gate_matrix, up_matrix, vk::whole(in), kCols, vk::whole(y), padded(kRows)));
  run([&](vk::CommandList& list) { op.record(list, 1, variant.phase()); });
  std::vector<float> want(kRows);
  reference::gate_up(multiplied(gate.values, variant), multiplied(up.values, variant), x, want,
                     {.n_columns = 1,
                      .n_blocks = 1,
                      .n_rows = kRows,
                      .x_stride_vec4 = kCols / 4,
                      .y_stride = kRows,
                      .y_offset = 0,
                      .gather = 0,
                      .soft_cap = 0});
  std::size_t n_past = 0;
  const auto values = read_values(y, padded(kRows), true);
  for (std::uint32_t r = 0; r < kRows; r++) {
    if (std::abs(want[r]) < 65504.0f) continue;
    ++n_past;
    EXPECT_EQ(values[r], std::copysign(65504.0f, want[r])) << "row " << r;
  }
  EXPECT_GT(n_past, 0u);
}

INSTANTIATE_TEST_SUITE_P(Kernels, Saturation,
                         testing::Values(Variant{.act16 = true},
                                         Variant{.act16 = true, .tiles = true},
                                         Variant{.act16 = true, .coopmat = true}),
                         [](const auto& instance) { return instance.param.name(); });

// A row's result does not depend on its company: whatever the number of activation rows, and
// wherever the row stands among them, every output has the same bits.
class Company : public ProductTest, public testing::WithParamInterface<TypeAndVariant> {};

TEST_P(Company, ProductsAreBitEqualInAnyCompany) {
  const auto& [type, variant] = GetParam();
  if (!can_run(variant)) GTEST_SKIP() << "this device has no such kernels";
  const bool act16 = variant.act16;
  Kernels& k = kernels(variant);
  const std::uint32_t n_rows = variant.phase() == Phase::kPrefill ? 70 : 33;
  constexpr std::uint32_t kRows = 19;
  const std::uint32_t cols = std::max(model::block_values(type), 32u) * 3;
  const RandomMatrix w(type, kRows, cols, 10);
  const RandomMatrix up(type, kRows, cols, 11);
  const WeightMatrix matrix = load(w.tensor, k, kernel_type(type));
  const WeightMatrix up_matrix = load(up.tensor, k, kernel_type(type));
  const auto x = activations(n_rows, cols, act16, 0.05f);

  const auto products = [&](std::uint32_t first, std::uint32_t n) {
    const vk::Buffer in = upload_values(
        std::span(x).subspan(std::size_t{first} * cols, std::size_t{n} * cols), act16);
    const vk::Buffer y = untouched(std::size_t{n} * kRows);
    const vk::Buffer gated = untouched(std::size_t{n} * padded(kRows), act16);
    const ProductOp op = must(make_product(
        k, matrix, {.x = vk::whole(in), .y = vk::whole(y), .x_stride = cols, .y_stride = kRows}));
    const ProductOp gate_op = must(
        make_gate_up(k, matrix, up_matrix, vk::whole(in), cols, vk::whole(gated), padded(kRows)));
    run([&](vk::CommandList& list) {
      op.record(list, n, variant.phase());
      gate_op.record(list, n, variant.phase());
    });
    return std::pair(read_values(y, std::size_t{n} * kRows),
                     read_values(gated, std::size_t{n} * padded(kRows), act16));
  };
  expect_equal_in_company(products, n_rows, kRows, {1, 2, 3, 5});
}

INSTANTIATE_TEST_SUITE_P(
    Kernels, Company,
    testing::Combine(
        testing::Values(TensorType::kF32, TensorType::kF16, TensorType::kBF16, TensorType::kQ8_0,
                        TensorType::kQ4_0, TensorType::kQ4_K, TensorType::kQ6_K, TensorType::kQ5_K),
        testing::Values(Variant{}, Variant{.act16 = true}, Variant{.passed = true},
                        Variant{.passed = true, .texels = true},
                        Variant{.shuffled = true, .texels = true}, Variant{.addresses = true},
                        Variant{.act16 = true, .tiles = true},
                        Variant{.act16 = true, .coopmat = true}, Variant{.narrow = true},
                        Variant{.act16 = true, .narrow = true})),
    name_of);

// A device may be tuned to teams for generation, which read storage buffers, beside lanes for a
// prompt, which read texels: each phase has bindings of its own.
TEST_F(ProductTest, PhasesMayBindTheSameBuffersInDifferentWays) {
  Kernels& k = kernels({.narrow = true, .texels = true});
  EXPECT_EQ(k.plane_loads() != PlaneLoads::kStorage, vk::is_llvmpipe(device().description()));
  if (k.plane_loads() == PlaneLoads::kStorage) GTEST_SKIP() << "this device has too few texels";
  constexpr std::uint32_t kRows = 40, kCols = 96;
  const RandomMatrix w(TensorType::kF32, kRows, kCols, 15);
  const WeightMatrix matrix = load(w.tensor, k, KernelType::kF32);
  const auto x = activations(1, kCols, false);
  const vk::Buffer x_buffer = upload(x);
  const vk::Buffer y = untouched(2 * kRows);
  const auto product = [&](std::uint32_t y_offset) {
    return must(make_product(k, matrix,
                             {.x = vk::whole(x_buffer),
                              .y = vk::whole(y),
                              .x_stride = kCols,
                              .y_stride = kRows,
                              .y_offset = y_offset}));
  };
  const ProductOp prompt = product(0), generated = product(kRows);
  run([&](vk::CommandList& list) {
    prompt.record(list, 1, Phase::kPrefill);
    generated.record(list, 1, Phase::kGenerate);
  });
  const auto both = read_values(y, 2 * kRows);
  const auto size = magnitudes(both);
  EXPECT_TRUE(near(std::span(both).first(kRows), std::span(both).last(kRows),
                   [&](std::size_t i) { return sum_error(kCols) * std::max(size[i], 1.0f); }));
}

// A matrix of many rows gives a lane two of them where it serves several activation rows: the sums
// are those of a lane with one.
TEST_F(ProductTest, RowsPerLaneDoNotMatter) {
  Kernels& k = kernels({.narrow = true});
  constexpr std::uint32_t kRows = 8192 + 11, kCols = 288, kMost = 8;
  const RandomMatrix w(TensorType::kQ4_0, kRows, kCols, 14);
  const WeightMatrix matrix = load(w.tensor, k, KernelType::kQ4_0);
  const auto x = activations(kMost, kCols, false);
  const vk::Buffer x_buffer = upload(x);
  const auto product = [&](std::uint32_t n) {
    const vk::Buffer y = untouched(std::size_t{n} * kRows);
    const ProductOp op = must(make_product(
        k, matrix,
        {.x = vk::whole(x_buffer), .y = vk::whole(y), .x_stride = kCols, .y_stride = kRows}));
    EXPECT_EQ(op.generate.of(n).rows_per_workgroup,
              (n == 1 ? 1 : 2) * k.options().tuning.weight_lanes);
    run([&](vk::CommandList& list) { op.record(list, n, Phase::kGenerate); });
    return read_values(y, std::size_t{n} * kRows);
  };
  const auto all = product(kMost);
  EXPECT_TRUE(same(product(1), std::span(all).first(kRows)));
  std::vector<float> want(kRows);
  reference::matmul(w.values, x, want, {}, {},
                    {.n_columns = 1,
                     .n_blocks = kCols / 32,
                     .n_rows = kRows,
                     .x_stride_vec4 = kCols / 4,
                     .y_stride = kRows,
                     .y_offset = 0,
                     .gather = 0,
                     .soft_cap = 0});
  std::vector<float> size(kRows);
  reference::matmul(magnitudes(w.values), magnitudes(x), size, {}, {},
                    {.n_columns = 1,
                     .n_blocks = kCols / 32,
                     .n_rows = kRows,
                     .x_stride_vec4 = kCols / 4,
                     .y_stride = kRows,
                     .y_offset = 0,
                     .gather = 0,
                     .soft_cap = 0});
  EXPECT_TRUE(near(std::span(all).first(kRows), want,
                   [&](std::size_t i) { return sum_error(kCols) * size[i]; }));
}

}  // namespace
}  // namespace preflight::forward
