// attention.comp and attention_input.comp on both kinds of layer of the 12B, in decode and prefill.

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "bench/kernels/attention_case.h"
#include "bench/kernels/bench.h"
#include "bench/kernels/values.h"
#include "engine/forward/attention_op.h"
#include "engine/model/half.h"
#include "engine/reference/attention.h"
#include "engine/reference/attention_input.h"

namespace preflight::bench {
namespace {

struct AttentionData {
  std::vector<float> q;  ///< or the raw projections
  std::vector<float> keys, values;
  std::vector<std::uint32_t> tables;
  std::vector<params::RowInfo> infos;
  vk::Buffer q_buffer, key_buffer, value_buffer, table_buffer, info_buffer, o_buffer, range_buffer;
  forward::AttentionOp op;
};

/// Pages of float16 values; `values` are changed to what the device reads.
Result<vk::Buffer> upload_pages(Bench& bench, std::vector<float>& values) {
  std::vector<std::uint16_t> halves(values.size());
  std::ranges::transform(values, halves.begin(), model::half_from_float);
  std::ranges::transform(halves, values.begin(), model::float_from_half);
  return bench.upload(std::as_bytes(std::span(halves)));
}

std::size_t plane_values(const AttentionCase& c, std::uint32_t dim) {
  return std::size_t{c.n_pages()} * c.layout().n_kv_heads * params::kPageTokens * dim;
}

/// The twin for a few rows of the step, held against what the device left.
Result<void> check_rows(Bench& bench, const AttentionCase& c, const AttentionData& data) {
  const auto l = c.layout();
  const auto p = c.attention_params();
  const std::size_t q_row = std::size_t{p.n_heads} * l.q_values;
  const std::size_t o_row = std::size_t{p.o_stride_vec4} * 4;
  PREFLIGHT_TRY(const auto o, bench.read(data.o_buffer, c.n_rows * o_row, bench.act16()));
  for (std::uint32_t row = 0; row < c.n_rows; row += std::max(1u, c.n_rows - 1)) {
    std::vector<float> want(o_row);
    reference::attention(std::span(data.q).subspan(row * q_row, q_row),
                         std::span(data.infos).subspan(row, 1), data.tables, data.keys, data.values,
                         want, c.shape(), p);
    PREFLIGHT_TRY_VOID(check_close("attention", std::span(o).subspan(row * o_row, o_row), want));
  }
  return {};
}

Result<Case> make_case(Bench& bench, const AttentionCase& c) {
  const auto l = c.layout();
  const auto p = c.attention_params();
  auto q = normals(std::size_t{c.n_rows} * p.n_heads * l.q_values, 1);
  // Scores of a deviation of 3, as trained norms give them.
  auto keys = normals(plane_values(c, l.key_dim), 2, 3.0f / std::sqrt(float(l.head_dim)));
  auto values = normals(plane_values(c, l.head_dim), 3, l.folded ? 0.1f : 1.0f);
  std::vector<std::uint32_t> tables(c.n_pages());
  std::iota(tables.begin(), tables.end(), 0u);
  auto infos = c.infos();
  PREFLIGHT_TRY(vk::Buffer q_buffer, bench.upload(std::as_bytes(std::span(q))));
  PREFLIGHT_TRY(vk::Buffer key_buffer, upload_pages(bench, keys));
  PREFLIGHT_TRY(vk::Buffer value_buffer, upload_pages(bench, values));
  PREFLIGHT_TRY(vk::Buffer table_buffer, bench.upload(std::as_bytes(std::span(tables))));
  PREFLIGHT_TRY(vk::Buffer info_buffer, bench.upload(std::as_bytes(std::span(infos))));
  PREFLIGHT_TRY(vk::Buffer o_buffer, bench.empty(std::uint64_t{c.n_rows} * p.o_stride_vec4 * 16));
  const std::uint32_t context_tokens = c.pages_per_sequence() * params::kPageTokens;
  // Every row of a generation step in one pass.
  PREFLIGHT_TRY(vk::Buffer range_buffer,
                bench.empty((c.decode ? std::uint64_t{c.n_rows} : 1) * p.n_heads *
                            forward::max_key_ranges(p.window, context_tokens) * (4 + l.head_dim) *
                            sizeof(float)));
  const auto data = std::make_shared<AttentionData>(AttentionData{std::move(q),
                                                                  std::move(keys),
                                                                  std::move(values),
                                                                  std::move(tables),
                                                                  std::move(infos),
                                                                  std::move(q_buffer),
                                                                  std::move(key_buffer),
                                                                  std::move(value_buffer),
                                                                  std::move(table_buffer),
                                                                  std::move(info_buffer),
                                                                  std::move(o_buffer),
                                                                  std::move(range_buffer),
                                                                  {}});
  const std::array<vk::Slice, params::kAttentionTileBindings> slices = {
      vk::whole(data->q_buffer),    vk::whole(data->info_buffer),  vk::whole(data->table_buffer),
      vk::whole(data->key_buffer),  vk::whole(data->value_buffer), vk::whole(data->o_buffer),
      vk::whole(data->range_buffer)};
  PREFLIGHT_TRY(data->op, forward::make_attention(bench.kernels(), l, slices, p, context_tokens));

  Case made;
  const double kv_bytes = 2.0 * l.n_kv_heads * (l.key_dim + l.head_dim);
  double seen = 0;
  for (std::uint32_t row = 0; row < c.n_rows; row++) seen += c.visible(row);
  // The rows of a chunk share their keys: those are to be read once, from the first row's first to
  // the last row's own.
  const double read = c.decode ? seen : c.visible(0) + c.n_rows - 1.0;
  made.work.bytes =
      read * kv_bytes + 4.0 * static_cast<double>(data->q.size()) +
      static_cast<double>(c.n_rows) * p.o_stride_vec4 * 4 * bench.kernels().act_bytes();
  made.work.operations = 2.0 * seen * p.n_heads * (l.q_values + l.head_dim);
  made.record = [data, c](vk::CommandList& list) {
    data->op.record(list, c.n_rows,
                    c.decode ? forward::Phase::kGenerate : forward::Phase::kPrefill);
  };
  made.check = [&bench, data, c] { return check_rows(bench, c, *data); };
  made.data = data;
  return made;
}

struct InputData {
  std::vector<float> qkv, norm, rope;
  std::vector<std::uint32_t> tables;
  std::vector<params::RowInfo> infos;
  vk::Buffer qkv_buffer, norm_buffer, rope_buffer, table_buffer, info_buffer;
  vk::Buffer key_buffer, value_buffer, q_buffer;
  forward::RowOp op;
};

Result<void> check_queries(Bench& bench, const AttentionCase& c, const InputData& data) {
  const auto l = c.layout();
  std::vector<float> want(std::size_t{c.n_rows} * c.input_params().n_heads * l.q_values);
  std::vector<float> keys(plane_values(c, l.key_dim));
  std::vector<float> values(plane_values(c, l.head_dim));
  reference::attention_input(data.qkv, data.norm, data.norm, data.infos, data.rope, data.tables,
                             keys, values, want, c.shape(), c.input_params());
  PREFLIGHT_TRY(const auto got, bench.read(data.q_buffer, want.size(), /*half=*/false));
  return check_close("attention_input", got, want);
}

Result<Case> make_input_case(Bench& bench, const AttentionCase& c) {
  const auto l = c.layout();
  const auto p = c.input_params();
  auto qkv = normals(std::size_t{c.n_rows} * l.qkv_values, 1, 7.0f);
  auto norm = normals(l.head_dim, 2);
  // Any turn will do; the engine's are exact (docs/model.md#rope).
  std::vector<float> rope(std::size_t{c.n_rows} * l.n_rotated * 2, 0.6f);
  std::vector<std::uint32_t> tables(c.n_pages());
  std::iota(tables.begin(), tables.end(), 0u);
  auto infos = c.infos();
  PREFLIGHT_TRY(vk::Buffer qkv_buffer, bench.upload(std::as_bytes(std::span(qkv))));
  PREFLIGHT_TRY(vk::Buffer norm_buffer, bench.upload(std::as_bytes(std::span(norm))));
  PREFLIGHT_TRY(vk::Buffer rope_buffer, bench.upload(std::as_bytes(std::span(rope))));
  PREFLIGHT_TRY(vk::Buffer table_buffer, bench.upload(std::as_bytes(std::span(tables))));
  PREFLIGHT_TRY(vk::Buffer info_buffer, bench.upload(std::as_bytes(std::span(infos))));
  PREFLIGHT_TRY(vk::Buffer key_buffer, bench.empty(2 * plane_values(c, l.key_dim)));
  PREFLIGHT_TRY(vk::Buffer value_buffer, bench.empty(2 * plane_values(c, l.head_dim)));
  PREFLIGHT_TRY(vk::Buffer q_buffer,
                bench.empty(std::uint64_t{4} * c.n_rows * p.n_heads * l.q_values));
  const auto data = std::make_shared<InputData>(InputData{std::move(qkv),
                                                          std::move(norm),
                                                          std::move(rope),
                                                          std::move(tables),
                                                          std::move(infos),
                                                          std::move(qkv_buffer),
                                                          std::move(norm_buffer),
                                                          std::move(rope_buffer),
                                                          std::move(table_buffer),
                                                          std::move(info_buffer),
                                                          std::move(key_buffer),
                                                          std::move(value_buffer),
                                                          std::move(q_buffer),
                                                          {}});
  const std::array<vk::Slice, params::kAttentionInputBindings> slices = {
      vk::whole(data->qkv_buffer),  vk::whole(data->norm_buffer),  vk::whole(data->norm_buffer),
      vk::whole(data->info_buffer), vk::whole(data->rope_buffer),  vk::whole(data->table_buffer),
      vk::whole(data->key_buffer),  vk::whole(data->value_buffer), vk::whole(data->q_buffer)};
  forward::Kernels& kernels = bench.kernels();
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                kernels.pipeline("attention_input" + kernels.kv_suffix(),
                                 params::kAttentionInputBindings, sizeof p,
                                 {kernels.options().tuning.attention_lanes, l.head_dim, l.key_dim,
                                  l.folded ? 1u : 0u, l.n_rotated}));
  PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
  data->op = forward::RowOp::of(pipeline, bindings, p, p.n_heads + 2 * l.n_kv_heads);

  Case made;
  made.work.bytes = static_cast<double>(c.n_rows) *
                    (4.0 * l.qkv_values + 4.0 * p.n_heads * l.q_values +
                     2.0 * l.n_kv_heads * (l.key_dim + l.head_dim) + 8.0 * l.n_rotated);
  made.work.operations = 8.0 * static_cast<double>(c.n_rows) * l.qkv_values;
  made.record = [data, n = c.n_rows](vk::CommandList& list) { data->op.record(list, n); };
  made.check = [&bench, data, c] { return check_queries(bench, c, *data); };
  made.data = data;
  return made;
}

}  // namespace

void add_attention_benches(Bench& bench) {
  for (const bool full : {false, true}) {
    const char* kind = full ? "full" : "sliding";
    for (const std::uint32_t n_rows : {1u, 8u})
      for (const std::uint32_t depth : {256u, 2048u, 8192u}) {
        const AttentionCase c{.full = full,
                              .decode = true,
                              .n_rows = n_rows,
                              .depth_tokens = shrunk(bench, depth, 64)};
        bench.add(fmt::format("attention_decode/{}/rows:{}/depth:{}", kind, n_rows, c.depth_tokens),
                  [c](Bench& b) { return make_case(b, c); });
      }
    for (const std::uint32_t depth : {0u, 2048u}) {
      const AttentionCase c{.full = full,
                            .decode = false,
                            .n_rows = shrunk(bench, 256, 64),
                            .depth_tokens = depth / bench.options().shrink};
      bench.add(
          fmt::format("attention_prefill/{}/rows:{}/depth:{}", kind, c.n_rows, c.depth_tokens),
          [c](Bench& b) { return make_case(b, c); });
    }
    for (const std::uint32_t n_rows : {1u, 8u, 256u}) {
      const AttentionCase c{.full = full, .decode = false, .n_rows = n_rows, .depth_tokens = 0};
      bench.add(fmt::format("attention_input/{}/rows:{}", kind, n_rows),
                [c](Bench& b) { return make_input_case(b, c); });
    }
  }
}

}  // namespace preflight::bench
