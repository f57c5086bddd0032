// matmul.comp and gate_up.comp: every weight type, and every matrix of the 12B, by columns.

#include <array>
#include <string>

#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/values.h"
#include "engine/forward/dot_products.h"
#include "engine/model/blocks.h"
#include "engine/reference/gate_up.h"
#include "engine/reference/matmul.h"
#include "engine/reference/quantise.h"
#include "shaders/params/step.h"

namespace preflight::bench {
namespace {

using forward::ProductOp;
using forward::WeightMatrix;
using model::TensorType;

struct ProductCase {
  const char* name;  ///< of the matrix in the model
  TensorType type;
  std::uint32_t rows, cols;
  std::uint32_t columns;
  bool gate_up = false;
};

struct ProductData {
  std::unique_ptr<SampledMatrix> weights, up;
  WeightMatrix matrix, up_matrix;
  std::vector<float> x;
  vk::Buffer x_buffer, codes, code_scales, y_buffer;
  forward::QuantisedInput quantised;  ///< the two
  forward::QuantiseOp quantise;
  ProductOp op;
};

/// The twin's results for the sampled rows: [columns, sampled rows].
std::vector<float> twin(const ProductCase& c, const ProductData& data) {
  const auto n = static_cast<std::uint32_t>(data.weights->sampled_rows.size());
  const params::MatmulParams p{.n_columns = c.columns,
                               .n_blocks = data.matrix.shape.n_blocks,
                               .n_rows = n,
                               .x_stride_vec4 = c.cols / 4,
                               .y_stride = n,
                               .y_offset = 0,
                               .gather = 0,
                               .soft_cap = 0};
  std::vector<float> want(std::size_t{n} * c.columns);
  if (c.gate_up)
    reference::gate_up(data.weights->sampled, data.up->sampled, data.x, want, p);
  else
    reference::matmul(data.weights->sampled, data.x, want, {}, {}, p);
  return want;
}

/// The values as the device reads them where it rounds a product's input to codes.
void round_to_codes(std::span<float> x) {
  const auto n_blocks = static_cast<std::uint32_t>(x.size() / params::kWeightBlock);
  std::vector<std::int8_t> codes(x.size());
  std::vector<float> scales(std::size_t{n_blocks} * 2);
  reference::quantise(x, codes, scales, 1, {.n_blocks = n_blocks});
  reference::dequantise(codes, scales, x);
}

Result<Case> make_case(Bench& bench, const ProductCase& c) {
  const auto load = [&](const SampledMatrix& from) {
    return forward::load_matrix(bench.device(), bench.uploader(), from.tensor,
                                bench.kernels().interleave(), forward::kernel_type(c.type));
  };
  PREFLIGHT_TRY(auto weights, SampledMatrix::create(c.type, c.rows, c.cols, 1));
  PREFLIGHT_TRY(WeightMatrix matrix, load(*weights));
  PREFLIGHT_TRY(auto up, SampledMatrix::create(c.type, c.gate_up ? c.rows : 1, c.cols, 2));
  PREFLIGHT_TRY(WeightMatrix up_matrix, load(*up));
  auto x = normals(std::size_t{c.columns} * c.cols, 3);
  PREFLIGHT_TRY(vk::Buffer x_buffer, bench.upload_activations(x));
  const bool half = c.gate_up && bench.act16();
  const std::size_t n_y = std::size_t{c.columns} * c.rows;
  PREFLIGHT_TRY(vk::Buffer y_buffer, bench.empty(n_y * 4));
  PREFLIGHT_TRY(vk::Buffer codes, bench.empty(x.size()));
  PREFLIGHT_TRY(vk::Buffer code_scales, bench.empty(x.size() / params::kWeightBlock * 8));
  const double n_matrices = c.gate_up ? 2 : 1;
  const double file_bytes = static_cast<double>(weights->bytes.size());

  const auto data = std::make_shared<ProductData>(ProductData{std::move(weights),
                                                              std::move(up),
                                                              std::move(matrix),
                                                              std::move(up_matrix),
                                                              std::move(x),
                                                              std::move(x_buffer),
                                                              std::move(codes),
                                                              std::move(code_scales),
                                                              std::move(y_buffer),
                                                              {},
                                                              {},
                                                              {}});
  data->quantised = {vk::whole(data->codes), vk::whole(data->code_scales)};
  if (c.gate_up) {
    PREFLIGHT_TRY(data->op,
                  forward::make_gate_up(bench.kernels(), data->matrix, data->up_matrix,
                                        vk::whole(data->x_buffer), c.cols,
                                        vk::whole(data->y_buffer), c.rows, &data->quantised));
  } else {
    PREFLIGHT_TRY(data->op, forward::make_product(bench.kernels(), data->matrix,
                                                  {.x = vk::whole(data->x_buffer),
                                                   .y = vk::whole(data->y_buffer),
                                                   .x_stride = c.cols,
                                                   .y_stride = c.rows,
                                                   .quantised = &data->quantised}));
  }
  const ProductOp* const readers[] = {&data->op};
  PREFLIGHT_TRY(data->quantise,
                forward::QuantiseOp::create(bench.kernels(), vk::whole(data->x_buffer), c.cols,
                                            data->quantised, readers));

  Case made;
  // The weights as the file has them: what a layout adds is the kernel's own loss.
  made.work.bytes = n_matrices * file_bytes +
                    static_cast<double>(c.columns) *
                        (c.cols * bench.kernels().act_bytes() + c.rows * (half ? 2.0 : 4.0));
  made.work.operations = 2.0 * n_matrices * c.rows * c.cols * c.columns;
  // As many rows as slots decode together, or a chunk of a prompt.
  const auto phase = c.columns <= 32 ? forward::Phase::kGenerate : forward::Phase::kPrefill;
  const bool codes_are_read = data->op.family(phase).reads_codes;
  if (codes_are_read) round_to_codes(data->x);
  if (phase == forward::Phase::kPrefill && bench.kernels().options().coopmat)
    made.arithmetic = Arithmetic::kCoopmat;
  if (codes_are_read) made.arithmetic = Arithmetic::kDot;
  made.record = [data, n = c.columns, phase](vk::CommandList& list) {
    data->quantise.record(list, n, phase);
    data->op.record(list, n, phase);
  };
  made.check = [&bench, data, c, half, n_y]() -> Result<void> {
    PREFLIGHT_TRY(const auto y, bench.read(data->y_buffer, n_y, half));
    std::vector<float> got;
    for (std::uint32_t column = 0; column < c.columns; column++)
      for (const std::uint32_t row : data->weights->sampled_rows)
        got.push_back(y[std::size_t{column} * c.rows + row]);
    return check_close(c.gate_up ? "gate_up" : "matmul", got, twin(c, *data));
  };
  made.data = data;
  return made;
}

void add_case(Bench& bench, const ProductCase& c) {
  std::string type(model::type_name(c.type));
  bench.add(fmt::format("{}/{}/{}x{}/columns:{}", c.name, type, c.rows, c.cols, c.columns),
            [c](Bench& b) { return make_case(b, c); });
}

}  // namespace

void add_product_benches(Bench& bench) {
  constexpr std::array kTypes = {TensorType::kQ4_0, TensorType::kQ6_K, TensorType::kQ4_K,
                                 TensorType::kQ8_0, TensorType::kBF16, TensorType::kF16,
                                 TensorType::kF32,  TensorType::kQ4_1};  // the last: as affine8
  const std::uint32_t rows = shrunk(bench, 3840, 64);
  for (const TensorType type : kTypes)
    for (const std::uint32_t columns : {1u, 2u, 4u, 8u, 16u, 32u})
      add_case(bench, {"matmul", type, rows, 15360, columns});

  // The 12B as its usual file has it.
  const std::array matrices = {
      ProductCase{"qkv", TensorType::kQ4_0, 8192, 3840, 0},
      ProductCase{"attention_output", TensorType::kQ4_0, 3840, 4096, 0},
      ProductCase{"gate_up", TensorType::kQ4_0, 15360, 3840, 0, /*gate_up=*/true},
      ProductCase{"down", TensorType::kQ4_0, 3840, 15360, 0}};
  for (ProductCase c : matrices)
    for (const std::uint32_t columns : {1u, 8u, 64u, 512u}) {
      c.rows = shrunk(bench, c.rows, 64);
      c.columns = columns;
      add_case(bench, c);
    }
  for (const std::uint32_t columns : {1u, 8u})
    add_case(bench, {"head", TensorType::kQ6_K, shrunk(bench, 262144, 64), 3840, columns});
}

}  // namespace preflight::bench
