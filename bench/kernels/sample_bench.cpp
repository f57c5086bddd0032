// Sampling behind both passes of argmax, over the 12B's vocabulary: with the recommended filters,
// with each alone, and with none.

#include <array>
#include <cmath>

#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/values.h"
#include "engine/forward/sampler.h"
#include "engine/reference/sample.h"

namespace preflight::bench {
namespace {

struct SampleCase {
  const char* name;
  std::uint32_t top_k = 0;
  float top_p = 1;
  float min_p = 0;
};

struct SampleData {
  std::vector<float> logits;
  std::vector<std::uint32_t> mask;
  std::vector<params::SampleRow> rows;
  vk::Buffer logits_buffer, mask_buffer, rows_buffer, partial, best, states, bins, lists;
  std::array<forward::RowOp, 2> argmax;
  forward::Sampler sampler;
};

Result<Case> make_case(Bench& bench, const SampleCase& filters, std::uint32_t n_rows) {
  const std::uint32_t vocab = shrunk(bench, 262144, 2048);
  auto logits = normals(std::size_t{n_rows} * vocab, 1, 4.0f);
  std::vector<std::uint32_t> mask(std::size_t{n_rows} * vocab / 32, 0xffffffffu);
  std::vector<params::SampleRow> rows;
  for (std::uint32_t r = 0; r < n_rows; r++)
    rows.push_back({.inverse_temperature = 1,
                    .top_k = filters.top_k,
                    .top_p = filters.top_p,
                    .least_scaled_logit = filters.min_p == 0 ? -1e30f : std::log(filters.min_p),
                    .seed_low = 1,
                    .seed_high = 0,
                    .position = r,
                    .unused = 0});
  PREFLIGHT_TRY(vk::Buffer logits_buffer, bench.upload(std::as_bytes(std::span(logits))));
  PREFLIGHT_TRY(vk::Buffer mask_buffer, bench.upload(std::as_bytes(std::span(mask))));
  PREFLIGHT_TRY(vk::Buffer rows_buffer, bench.upload(std::as_bytes(std::span(rows))));
  PREFLIGHT_TRY(vk::Buffer partial, bench.empty(std::uint64_t{n_rows} * params::kArgmaxSlices *
                                                sizeof(params::ArgmaxEntry)));
  PREFLIGHT_TRY(vk::Buffer best, bench.empty(std::uint64_t{n_rows} * sizeof(params::ArgmaxEntry)));
  PREFLIGHT_TRY(vk::Buffer states, bench.empty(n_rows * forward::kSampleStateBytes));
  PREFLIGHT_TRY(vk::Buffer bins, bench.empty(n_rows * forward::kSampleBinBytes));
  PREFLIGHT_TRY(vk::Buffer lists, bench.empty(forward::sample_lists_bytes(n_rows, vocab)));
  const auto data =
      std::make_shared<SampleData>(SampleData{.logits = std::move(logits),
                                              .mask = std::move(mask),
                                              .rows = std::move(rows),
                                              .logits_buffer = std::move(logits_buffer),
                                              .mask_buffer = std::move(mask_buffer),
                                              .rows_buffer = std::move(rows_buffer),
                                              .partial = std::move(partial),
                                              .best = std::move(best),
                                              .states = std::move(states),
                                              .bins = std::move(bins),
                                              .lists = std::move(lists),
                                              .argmax = {},
                                              .sampler = {}});
  forward::Kernels& kernels = bench.kernels();
  const params::ArgmaxParams argmax{
      .vocab_size = vocab, .logits_stride = vocab, .mask_stride = vocab / 32};
  const std::array<vk::Slice, params::kArgmaxBindings> slices = {
      vk::whole(data->logits_buffer), vk::whole(data->mask_buffer), vk::whole(data->partial),
      vk::whole(data->best)};
  for (const std::uint32_t merge : {0u, 1u}) {
    PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                  kernels.pipeline("argmax", params::kArgmaxBindings, sizeof argmax,
                                   {kernels.options().tuning.argmax_lanes, merge}));
    PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
    data->argmax[merge] =
        forward::RowOp::of(pipeline, bindings, argmax, merge == 0 ? params::kArgmaxSlices : 1);
  }
  PREFLIGHT_TRY(data->sampler, forward::Sampler::create(kernels, vocab,
                                                        {.logits = &data->logits_buffer,
                                                         .masks = &data->mask_buffer,
                                                         .partial = &data->partial,
                                                         .best = &data->best,
                                                         .rows = &data->rows_buffer,
                                                         .states = &data->states,
                                                         .bins = &data->bins,
                                                         .lists = &data->lists}));

  Case made;
  const double values = static_cast<double>(n_rows) * vocab;
  made.work = {.bytes = values * (4 + 1.0 / 8), .operations = values};
  made.record = [data, n_rows](vk::CommandList& list) {
    data->argmax[0].record(list, n_rows);
    data->sampler.record_clear(list, n_rows);
    list.barrier();
    data->argmax[1].record(list, n_rows);
    list.barrier();
    data->sampler.record(list, n_rows);
  };
  made.check = [&bench, data, vocab, n_rows]() -> Result<void> {
    std::vector<params::ArgmaxEntry> got(n_rows);
    std::vector<params::ArgmaxEntry> want(n_rows);
    PREFLIGHT_TRY_VOID(
        bench.uploader().read(data->best, 0, std::as_writable_bytes(std::span(got))));
    reference::sample(data->logits, data->mask, data->rows, want,
                      {.vocab_size = vocab,
                       .logits_stride = vocab,
                       .mask_stride = vocab / 32,
                       .pass = 0,
                       .list_tokens = 0});
    for (std::uint32_t row = 0; row < n_rows; row++)
      if (got[row].token != want[row].token)
        return fail(ErrorCode::kInternal,
                    fmt::format("sample: row {} is token {}, its twin draws {}", row,
                                got[row].token, want[row].token));
    return {};
  };
  made.data = data;
  return made;
}

}  // namespace

void add_sample_benches(Bench& bench) {
  constexpr SampleCase kCases[] = {{.name = "top_k_top_p", .top_k = 64, .top_p = 0.95f},
                                   {.name = "top_k_200", .top_k = 200},
                                   {.name = "top_p", .top_p = 0.95f},
                                   {.name = "min_p", .min_p = 0.05f},
                                   {.name = "all"}};
  for (const SampleCase& filters : kCases)
    for (const std::uint32_t n_rows : {1u, 8u})
      bench.add(fmt::format("sample/{}/rows:{}", filters.name, n_rows),
                [filters, n_rows](Bench& b) { return make_case(b, filters, n_rows); });
}

}  // namespace preflight::bench
