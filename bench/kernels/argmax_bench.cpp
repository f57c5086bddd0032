// argmax.comp, both passes, over the 12B's vocabulary and half of it allowed.

#include <array>

#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/values.h"
#include "engine/reference/argmax.h"

namespace preflight::bench {
namespace {

struct ArgmaxData {
  std::vector<float> logits;
  std::vector<std::uint32_t> mask;
  vk::Buffer logits_buffer, mask_buffer, partial, best;
  std::array<forward::RowOp, 2> passes;
};

Result<Case> make_case(Bench& bench, std::uint32_t n_rows) {
  const std::uint32_t vocab = shrunk(bench, 262144, 2048);
  const params::ArgmaxParams p{
      .vocab_size = vocab, .logits_stride = vocab, .mask_stride = vocab / 32};
  auto logits = normals(std::size_t{n_rows} * vocab, 1, 5.0f);
  std::vector<std::uint32_t> mask(std::size_t{n_rows} * p.mask_stride, 0x55555555u);
  PREFLIGHT_TRY(vk::Buffer logits_buffer, bench.upload(std::as_bytes(std::span(logits))));
  PREFLIGHT_TRY(vk::Buffer mask_buffer, bench.upload(std::as_bytes(std::span(mask))));
  PREFLIGHT_TRY(vk::Buffer partial, bench.empty(std::uint64_t{n_rows} * params::kArgmaxSlices *
                                                sizeof(params::ArgmaxEntry)));
  PREFLIGHT_TRY(vk::Buffer best, bench.empty(std::uint64_t{n_rows} * sizeof(params::ArgmaxEntry)));
  const auto data = std::make_shared<ArgmaxData>(ArgmaxData{std::move(logits),
                                                            std::move(mask),
                                                            std::move(logits_buffer),
                                                            std::move(mask_buffer),
                                                            std::move(partial),
                                                            std::move(best),
                                                            {}});
  const std::array<vk::Slice, params::kArgmaxBindings> slices = {
      vk::whole(data->logits_buffer), vk::whole(data->mask_buffer), vk::whole(data->partial),
      vk::whole(data->best)};
  forward::Kernels& kernels = bench.kernels();
  for (const std::uint32_t merge : {0u, 1u}) {
    PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                  kernels.pipeline("argmax", params::kArgmaxBindings, sizeof p,
                                   {kernels.options().tuning.argmax_lanes, merge}));
    PREFLIGHT_TRY(const vk::BindingSet* bindings, kernels.bind(*pipeline, slices));
    data->passes[merge] =
        forward::RowOp::of(pipeline, bindings, p, merge == 0 ? params::kArgmaxSlices : 1);
  }

  Case made;
  const double values = static_cast<double>(n_rows) * vocab;
  made.work = {.bytes = values * (4 + 1.0 / 8), .operations = values};
  made.record = [data, n_rows](vk::CommandList& list) {
    data->passes[0].record(list, n_rows);
    list.barrier();
    data->passes[1].record(list, n_rows);
  };
  made.check = [&bench, data, p, n_rows]() -> Result<void> {
    std::vector<params::ArgmaxEntry> got(n_rows);
    std::vector<params::ArgmaxEntry> want(n_rows);
    PREFLIGHT_TRY_VOID(
        bench.uploader().read(data->best, 0, std::as_writable_bytes(std::span(got))));
    reference::argmax(data->logits, data->mask, want, p);
    for (std::uint32_t row = 0; row < n_rows; row++)
      if (got[row].token != want[row].token)
        return fail(ErrorCode::kInternal,
                    fmt::format("argmax: row {} is token {}, its twin finds {}", row,
                                got[row].token, want[row].token));
    return {};
  };
  made.data = data;
  return made;
}

}  // namespace

void add_argmax_benches(Bench& bench) {
  for (const std::uint32_t n_rows : {1u, 8u, 32u})
    bench.add(fmt::format("argmax/rows:{}", n_rows),
              [n_rows](Bench& b) { return make_case(b, n_rows); });
}

}  // namespace preflight::bench
