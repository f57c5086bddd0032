// softmax.comp, both passes, over the 12B's vocabulary, for choices between a few literals.

#include <cmath>

#include <fmt/format.h>

#include "bench/kernels/bench.h"
#include "bench/kernels/values.h"
#include "engine/forward/softmax_op.h"
#include "engine/reference/softmax.h"

namespace preflight::bench {
namespace {

struct SoftmaxData {
  std::vector<float> logits;
  vk::Buffer logits_buffer;
  forward::SoftmaxBuffers buffers;
  forward::SlicedOp op;
};

Result<Case> softmax_case(Bench& bench, std::uint32_t n_rows) {
  const std::uint32_t vocab = shrunk(bench, 262144, 2048);
  const std::vector<std::uint32_t> tokens = {1, 7, vocab / 2, vocab - 1};
  auto logits = normals(std::size_t{n_rows} * vocab, 1, 5.0f);
  PREFLIGHT_TRY(vk::Buffer logits_buffer, bench.upload(std::as_bytes(std::span(logits))));
  PREFLIGHT_TRY(auto buffers, forward::SoftmaxBuffers::create(bench.device(), n_rows));
  const auto data = std::make_shared<SoftmaxData>(
      SoftmaxData{std::move(logits), std::move(logits_buffer), std::move(buffers), {}});
  PREFLIGHT_TRY(data->op,
                forward::make_softmax(bench.kernels(), data->logits_buffer, data->buffers, vocab));
  for (std::uint32_t row = 0; row < n_rows; row++) data->buffers.ask(row, row, tokens);

  Case made;
  const double values = static_cast<double>(n_rows) * vocab;
  made.work = {.bytes = values * 4, .operations = values * 20};
  made.record = [data, n_rows](vk::CommandList& list) { data->op.record(list, n_rows); };
  made.check = [data, tokens, vocab, n_rows]() -> Result<void> {
    for (std::uint32_t row = 0; row < n_rows; row++) {
      const forward::RowSoftmax got = data->buffers.answer(row, tokens.size());
      const params::SoftmaxQuery query{.row = row,
                                       .n_tokens = static_cast<std::uint32_t>(tokens.size())};
      params::SoftmaxSum want{};
      std::vector<float> picked(tokens.size());
      reference::softmax(data->logits, {&query, 1}, tokens, {&want, 1}, picked,
                         {.vocab_size = vocab, .logits_stride = vocab});
      if (got.logits != picked || got.sum.largest != want.largest ||
          std::abs(got.sum.sum - want.sum) > 1e-5f * want.sum)
        return fail(ErrorCode::kInternal,
                    fmt::format("softmax: row {} has the sum {}, its twin finds {}", row,
                                got.sum.sum, want.sum));
    }
    return {};
  };
  made.data = data;
  return made;
}

}  // namespace

void add_softmax_benches(Bench& bench) {
  for (const std::uint32_t n_rows : {1u, 8u})
    bench.add(fmt::format("softmax/rows:{}", n_rows),
              [n_rows](Bench& b) { return softmax_case(b, n_rows); });
}

}  // namespace preflight::bench
