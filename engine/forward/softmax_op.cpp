#include "engine/forward/softmax_op.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/forward/arena.h"

namespace preflight::forward {
namespace {

/// Bytes of the buffers, in one place for the plan and for the making.
struct SoftmaxSizes {
  explicit SoftmaxSizes(std::uint64_t n)
      : queries(n * sizeof(params::SoftmaxQuery)),
        tokens(n * params::kSoftmaxTokens * sizeof(std::uint32_t)),
        partial(n * params::kSoftmaxSlices * sizeof(params::SoftmaxSum)),
        sums(n * sizeof(params::SoftmaxSum)),
        picked(n * params::kSoftmaxTokens * sizeof(float)) {}

  std::uint64_t queries, tokens, partial, sums, picked;
};

}  // namespace

std::uint64_t SoftmaxBuffers::bytes(std::uint32_t max_queries) {
  const SoftmaxSizes sizes(max_queries);
  return sizes.queries + sizes.tokens + sizes.partial + sizes.sums + sizes.picked;
}

Result<SoftmaxBuffers> SoftmaxBuffers::create(vk::Device& device, std::uint32_t max_queries) {
  const SoftmaxSizes sizes(max_queries);
  using enum vk::Residency;
  const auto make = [&](std::uint64_t bytes, vk::Residency residency, const char* label) {
    return vk::Buffer::create(device, bytes, residency, label);
  };
  PREFLIGHT_TRY(vk::Buffer queries, make(sizes.queries, kUpload, "softmax queries"));
  PREFLIGHT_TRY(vk::Buffer tokens, make(sizes.tokens, kUpload, "softmax tokens"));
  PREFLIGHT_TRY(vk::Buffer partial, make(sizes.partial, kDevice, "softmax slices"));
  PREFLIGHT_TRY(vk::Buffer sums, make(sizes.sums, kReadback, "softmax sums"));
  PREFLIGHT_TRY(vk::Buffer picked, make(sizes.picked, kReadback, "softmax logits"));
  return SoftmaxBuffers{.queries = std::move(queries),
                        .tokens = std::move(tokens),
                        .partial = std::move(partial),
                        .sums = std::move(sums),
                        .picked = std::move(picked)};
}

void SoftmaxBuffers::ask(std::uint32_t query, std::uint32_t row,
                         std::span<const std::uint32_t> of_tokens) {
  of_tokens = of_tokens.first(std::min<std::size_t>(of_tokens.size(), params::kSoftmaxTokens));
  host_values<params::SoftmaxQuery>(queries)[query] = {
      .row = row, .n_tokens = static_cast<std::uint32_t>(of_tokens.size())};
  const auto at = host_values<std::uint32_t>(tokens).subspan(
      std::size_t{query} * params::kSoftmaxTokens, of_tokens.size());
  std::copy(of_tokens.begin(), of_tokens.end(), at.begin());
}

RowSoftmax SoftmaxBuffers::answer(std::uint32_t query, std::size_t n_tokens) const {
  PREFLIGHT_ASSERT(n_tokens <= params::kSoftmaxTokens);
  const auto logits =
      host_values<float>(picked).subspan(std::size_t{query} * params::kSoftmaxTokens, n_tokens);
  return {.sum = host_values<params::SoftmaxSum>(sums)[query],
          .logits = {logits.begin(), logits.end()}};
}

Result<SlicedOp> make_softmax(Kernels& kernels, const vk::Buffer& logits,
                              const SoftmaxBuffers& buffers, std::uint32_t vocab_size) {
  const params::SoftmaxParams push{.vocab_size = vocab_size, .logits_stride = vocab_size};
  const std::array<vk::Slice, params::kSoftmaxBindings> slices = {
      vk::whole(logits),          vk::whole(buffers.queries), vk::whole(buffers.tokens),
      vk::whole(buffers.partial), vk::whole(buffers.sums),    vk::whole(buffers.picked)};
  return SlicedOp::create(kernels, "softmax", slices, push, params::kSoftmaxSlices);
}

}  // namespace preflight::forward
