#include "engine/forward/self_test.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numeric>
#include <vector>

#include <fmt/format.h>

#include "engine/forward/argmax_op.h"
#include "engine/forward/attention_op.h"
#include "engine/forward/dot_products.h"
#include "engine/forward/layer_attention.h"
#include "engine/forward/softmax_op.h"
#include "engine/model/half.h"
#include "engine/reference/argmax.h"
#include "engine/reference/attention.h"
#include "engine/reference/attention_input.h"
#include "engine/reference/matmul.h"
#include "engine/reference/quantise.h"
#include "engine/reference/rms_norm.h"
#include "engine/reference/softmax.h"
#include "shaders/params/argmax.h"
#include "shaders/params/attention.h"
#include "shaders/params/norm.h"

namespace preflight::forward {
namespace {

using model::LayerKind;

constexpr std::uint32_t kRows = 4;           // fills the widest product's group of columns once
constexpr std::uint32_t kComparedRows = 64;  // of a matrix: reading more of the file takes time
constexpr double kHalfRounding = 0x1p-11;    // relative, of a float16

/// Values between -4 and 4 without a pattern that a wrong stride would keep.
std::vector<float> ramp(std::size_t n) {
  std::vector<float> values(n);
  std::uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(state >> 16) / 8192.0f - 4.0f;
  }
  return values;
}

class SelfTest {
 public:
  explicit SelfTest(const SelfTestSubject& subject)
      : s_(subject),
        config_(subject.file.config()),
        tuning_(subject.kernels.options().tuning),
        dim_(padded(config_.model_dim)) {}

  Result<void> norm();
  /// Rounds what the norm left to codes and compares them with the twin's; then the values that
  /// the device's own codes stand for. Those of the norm where the phase does not read codes.
  Result<std::vector<float>> product_input(std::span<const float> normed, const ProductOp& reader,
                                           Phase phase);
  Result<void> product();
  Result<void> attention(std::uint32_t layer);
  Result<void> choice();
  Result<void> softmax();

 private:
  using Tolerance = std::function<double(std::size_t)>;
  using Record = std::function<void(vk::CommandList&)>;

  Result<void> run(const Record& record);
  Result<std::vector<float>> file_values(const std::string& name, std::uint64_t n_rows) const;
  /// Values from the begin of a buffer, float16 where `half`.
  Result<std::vector<float>> device_values(const vk::Buffer& buffer, std::size_t n, bool half);
  Result<void> write(vk::Buffer& buffer, std::span<const float> values) {
    return s_.uploader.write(buffer, 0, std::as_bytes(values));
  }
  Result<void> compare(const std::string& operation, std::span<const float> got,
                       std::span<const float> want, const Tolerance& tolerance) const;

  const SelfTestSubject& s_;
  const model::ModelConfig& config_;
  const Tuning& tuning_;
  std::uint32_t dim_;
};

Result<void> SelfTest::run(const Record& record) {
  PREFLIGHT_TRY(vk::CommandList list, vk::CommandList::create(s_.device));
  list.begin();
  record(list);
  PREFLIGHT_TRY_VOID(list.end());
  const vk::CommandList* const lists[] = {&list};
  PREFLIGHT_TRY([[maybe_unused]] const double ms, s_.submitter.run(lists));
  return {};
}

Result<std::vector<float>> SelfTest::file_values(const std::string& name,
                                                 std::uint64_t n_rows) const {
  const model::Tensor* tensor = s_.file.find(name);
  if (tensor == nullptr)
    return fail(ErrorCode::kInternal, fmt::format("tensor \"{}\" was not checked at open", name));
  n_rows = std::min(n_rows, tensor->rows);
  std::vector<float> values(n_rows * tensor->cols);
  PREFLIGHT_TRY_VOID(model::read_rows(*tensor, 0, n_rows, values));
  return values;
}

Result<std::vector<float>> SelfTest::device_values(const vk::Buffer& buffer, std::size_t n,
                                                   bool half) {
  std::vector<float> values(n);
  if (!half) {
    PREFLIGHT_TRY_VOID(s_.uploader.read(buffer, 0, std::as_writable_bytes(std::span(values))));
    return values;
  }
  std::vector<std::uint16_t> halves(n);
  PREFLIGHT_TRY_VOID(s_.uploader.read(buffer, 0, std::as_writable_bytes(std::span(halves))));
  std::ranges::transform(halves, values.begin(), model::float_from_half);
  return values;
}

Result<void> SelfTest::compare(const std::string& operation, std::span<const float> got,
                               std::span<const float> want, const Tolerance& tolerance) const {
  for (std::size_t i = 0; i < want.size(); i++) {
    // Written so that no NaN passes.
    if (std::abs(double{got[i]} - want[i]) <= tolerance(i)) continue;
    const vk::DeviceDescription& d = s_.device.description();
    return fail(ErrorCode::kUnsupported,
                fmt::format("{} ({} {}) computes wrong results: {}: value {} is {}, expected {} "
                            "within {:.1e}; update the driver or choose another device",
                            d.name, d.driver_name, d.driver_version, operation, i, got[i], want[i],
                            tolerance(i)));
  }
  return {};
}

Result<void> SelfTest::norm() {
  const bool act16 = s_.kernels.options().act16;
  const auto x = ramp(std::size_t{kRows} * dim_);
  PREFLIGHT_TRY(const auto weight, file_values("blk.0.attn_norm.weight", 1));
  PREFLIGHT_TRY_VOID(write(s_.arena.residual, x));

  const params::RmsNormParams p{.row_size = config_.model_dim,
                                .x_stride = dim_,
                                .y_stride_vec4 = dim_ / 4,
                                .epsilon = config_.rms_norm_eps};
  PREFLIGHT_TRY(const vk::Pipeline* pipeline,
                s_.kernels.pipeline("rms_norm" + s_.kernels.act_suffix(), params::kRmsNormBindings,
                                    sizeof p, {tuning_.norm_lanes, 1}));
  const std::array<vk::Slice, params::kRmsNormBindings> slices = {
      vk::whole(s_.arena.residual), vk::whole(s_.weights.layers.front().attn_norm),
      vk::whole(s_.arena.normed)};
  PREFLIGHT_TRY(const vk::BindingSet* bindings, s_.kernels.bind(*pipeline, slices));
  const RowOp op = RowOp::of(pipeline, bindings, p);
  PREFLIGHT_TRY_VOID(run([&](vk::CommandList& list) { op.record(list, kRows); }));

  PREFLIGHT_TRY(const auto got, device_values(s_.arena.normed, x.size(), act16));
  std::vector<float> want(x.size(), 0.0f);  // the padding, as Arena::clear leaves it
  reference::rms_norm(x, weight, want, kRows, p);
  // Far above a float32 sum's error in any order, far below any wrong value.
  const double relative = 1e-5 + (act16 ? kHalfRounding : 0);
  return compare("rms_norm", got, want,
                 [&](std::size_t i) { return std::abs(want[i]) * relative + 1e-7; });
}

Result<std::vector<float>> SelfTest::product_input(std::span<const float> normed,
                                                   const ProductOp& reader, Phase phase) {
  std::vector<float> values(normed.begin(), normed.end());
  if (!reader.family(phase).reads_codes) return values;
  const std::array<const ProductOp*, 1> readers = {&reader};
  PREFLIGHT_TRY(
      const QuantiseOp op,
      QuantiseOp::create(s_.kernels, vk::whole(s_.arena.normed), dim_,
                         {vk::whole(s_.arena.codes), vk::whole(s_.arena.code_scales)}, readers));
  PREFLIGHT_TRY_VOID(run([&](vk::CommandList& list) { op.record(list, kRows, phase); }));
  const params::QuantiseParams p{.n_blocks = dim_ / params::kWeightBlock};
  std::vector<std::int8_t> codes(values.size());
  PREFLIGHT_TRY_VOID(s_.uploader.read(s_.arena.codes, 0, std::as_writable_bytes(std::span(codes))));
  PREFLIGHT_TRY(const auto scales,
                device_values(s_.arena.code_scales, std::size_t{kRows} * p.n_blocks * 2, false));
  std::vector<std::int8_t> want_codes(codes.size());
  std::vector<float> want_scales(scales.size());
  reference::quantise(values, want_codes, want_scales, kRows, p);
  // A quotient may be off in its last bits, and a tie then falls to the other side.
  const std::vector<float> got(codes.begin(), codes.end());
  const std::vector<float> want(want_codes.begin(), want_codes.end());
  PREFLIGHT_TRY_VOID(compare("quantise", got, want, [](std::size_t) { return 1.0; }));
  for (std::size_t block = 0; block < want_scales.size() / 2; block++) {
    const auto own = std::span(codes).subspan(block * params::kWeightBlock, params::kWeightBlock);
    const auto sum = static_cast<float>(std::accumulate(own.begin(), own.end(), 0));
    want_scales[2 * block + 1] = want_scales[2 * block] * sum;
  }
  PREFLIGHT_TRY_VOID(compare("quantise (scales)", scales, want_scales, [&](std::size_t i) {
    return std::abs(want_scales[i]) * 1e-6 + 1e-30;
  }));
  reference::dequantise(codes, scales, values);
  return values;
}

Result<void> SelfTest::product() {
  const bool act16 = s_.kernels.options().act16;
  const bool full = config_.layer_kinds.front() == LayerKind::kFull;
  const AttentionLayout& layout = full ? s_.plan.full : s_.plan.sliding;
  // What the norm left, as the device rounded it.
  PREFLIGHT_TRY(const auto x, device_values(s_.arena.normed, std::size_t{kRows} * dim_, act16));
  PREFLIGHT_TRY(const auto weight, file_values("blk.0.attn_q.weight", kComparedRows));
  const WeightMatrix& matrix = s_.weights.layers.front().projections.front();
  const QuantisedInput quantised = {vk::whole(s_.arena.codes), vk::whole(s_.arena.code_scales)};
  PREFLIGHT_TRY(const ProductOp op, make_product(s_.kernels, matrix,
                                                 {.x = vk::whole(s_.arena.normed),
                                                  .y = vk::whole(s_.arena.qkv),
                                                  .x_stride = dim_,
                                                  .y_stride = layout.qkv_values,
                                                  .quantised = &quantised}));
  const auto n_rows = static_cast<std::uint32_t>(weight.size() / config_.model_dim);
  params::MatmulParams p{.n_columns = 1,
                         .n_blocks = matrix.shape.n_blocks,
                         .n_rows = n_rows,
                         .x_stride_vec4 = dim_ / 4,
                         .y_stride = n_rows,
                         .y_offset = 0,
                         .gather = 0,
                         .soft_cap = 0};
  for (const auto& [phase, columns] : {std::pair(Phase::kGenerate, 1u),
                                       {Phase::kGenerate, 2u},
                                       {Phase::kGenerate, kRows},
                                       {Phase::kPrefill, kRows}}) {
    PREFLIGHT_TRY(const auto multiplied, product_input(x, op, phase));
    const std::vector<float> nothing(std::size_t{columns} * layout.qkv_values, 0.0f);
    PREFLIGHT_TRY_VOID(write(s_.arena.qkv, nothing));
    PREFLIGHT_TRY_VOID(
        run([&, n = columns, when = phase](vk::CommandList& list) { op.record(list, n, when); }));
    PREFLIGHT_TRY(const auto qkv, device_values(s_.arena.qkv, nothing.size(), false));
    std::vector<float> got;
    for (std::uint32_t c = 0; c < columns; c++) {
      const auto row = std::span(qkv).subspan(std::size_t{c} * layout.qkv_values, n_rows);
      got.insert(got.end(), row.begin(), row.end());
    }
    p.n_columns = columns;
    std::vector<float> want(got.size());
    reference::matmul(weight, multiplied, want, {}, {}, p);
    // The most that a float32 sum can be off, whatever its order; matrix units get weights rounded
    // to float16, in the driver's direction, and may keep fewer bits between their additions.
    const bool matrix_units = s_.kernels.options().coopmat && phase == Phase::kPrefill;
    const double relative =
        (config_.model_dim + 2) * (matrix_units ? 0x1p-22 : 0x1p-24) + (matrix_units ? 0x1p-10 : 0);
    const auto tolerance = [&](std::size_t i) {
      const auto in = std::span(multiplied).subspan(i / n_rows * dim_, config_.model_dim);
      const auto w = std::span(weight).subspan(i % n_rows * config_.model_dim, config_.model_dim);
      double sum = 0;
      for (std::size_t k = 0; k < in.size(); k++) sum += std::abs(double{in[k]} * w[k]);
      return sum * relative + 1e-30;
    };
    PREFLIGHT_TRY_VOID(compare(
        fmt::format("matmul of {} weights, {} rows", shader_name(matrix.shape.type), columns), got,
        want, tolerance));
  }
  return {};
}

Result<void> SelfTest::attention(std::uint32_t layer) {
  const bool act16 = s_.kernels.options().act16;
  const bool kv16 = s_.kernels.options().kv16;
  const bool full = config_.layer_kinds[layer] == LayerKind::kFull;
  const AttentionLayout& layout = full ? s_.plan.full : s_.plan.sliding;
  const reference::AttentionShape shape{.head_dim = layout.head_dim,
                                        .key_dim = layout.key_dim,
                                        .folded = layout.folded,
                                        .n_rotated = layout.n_rotated};
  const std::string kind = full ? " of a full layer" : " of a sliding layer";
  const LayerWeights& w = s_.weights.layers[layer];
  const LayerPages& pages = s_.arena.pages[layer];
  PREFLIGHT_TRY(const auto q_norm, file_values(fmt::format("blk.{}.attn_q_norm.weight", layer), 1));
  PREFLIGHT_TRY(const auto k_norm, file_values(fmt::format("blk.{}.attn_k_norm.weight", layer), 1));

  const auto qkv = ramp(std::size_t{kRows} * layout.qkv_values);
  PREFLIGHT_TRY_VOID(write(s_.arena.qkv, qkv));
  host_values<std::uint32_t>(s_.arena.page_tables)[0] = 0;
  const std::array<std::uint32_t, 1> page_tables = {0};
  std::array<params::RowInfo, kRows> infos;
  vk::Buffer& rope_buffer = full ? s_.arena.full_rope : s_.arena.sliding_rope;
  std::vector<float> rope(std::size_t{kRows} * layout.n_rotated * 2);
  for (std::uint32_t t = 0; t < kRows; t++) {
    infos[t] = {.position = t,
                .last_visible = t,
                .sliding_pages = 0,
                .full_pages = 0,
                .token = 0,
                .soft_row = params::kNoSoftRow,
                .tile_first = 0,
                .tile_rows = 0};
    for (std::uint32_t i = 0; i < layout.n_rotated; i++) {
      const std::size_t at = (std::size_t{t} * layout.n_rotated + i) * 2;
      const float angle = static_cast<float>(t * (i + 1));
      rope[at] = std::cos(angle);
      rope[at + 1] = std::sin(angle);
    }
  }
  write_row_tiles(infos, [](std::uint32_t) { return 0; });
  std::ranges::copy(infos, host_values<params::RowInfo>(s_.arena.row_infos).begin());
  std::ranges::copy(rope, host_values<float>(rope_buffer).begin());

  const params::AttentionInputParams input_params{.n_heads = config_.n_heads,
                                                  .n_kv_heads = layout.n_kv_heads,
                                                  .qkv_stride = layout.qkv_values,
                                                  .k_offset = layout.k_offset,
                                                  .v_offset = layout.v_offset,
                                                  .full = full ? 1u : 0u,
                                                  .epsilon = config_.rms_norm_eps};
  const std::uint32_t o_stride = padded(config_.n_heads * layout.head_dim);
  const params::AttentionParams params{.n_heads = config_.n_heads,
                                       .n_kv_heads = layout.n_kv_heads,
                                       .o_stride_vec4 = o_stride / 4,
                                       .window = full ? 0 : config_.sliding_window};
  PREFLIGHT_TRY(const LayerAttention ops,
                LayerAttention::create(s_.kernels, s_.plan, s_.arena, config_.layer_kinds[layer],
                                       {.qkv = s_.arena.qkv,
                                        .q_norm = w.q_norm,
                                        .k_norm = w.k_norm,
                                        .pages = pages,
                                        .q = s_.arena.q,
                                        .attended = s_.arena.attended},
                                       {.n_heads = config_.n_heads,
                                        .qkv_stride = layout.qkv_values,
                                        .window = config_.sliding_window,
                                        .epsilon = config_.rms_norm_eps}));
  PREFLIGHT_TRY_VOID(run([&](vk::CommandList& list) { ops.input.record(list, kRows); }));

  // The first page of both planes. The slots past kRows hold whatever was there: the twin writes
  // and reads the same slots as the device, so they are compared with themselves.
  const std::size_t page_rows = std::size_t{layout.n_kv_heads} * params::kPageTokens;
  PREFLIGHT_TRY(const auto keys, device_values(pages.keys, page_rows * layout.key_dim, kv16));
  PREFLIGHT_TRY(const auto values, device_values(pages.values, page_rows * layout.head_dim, kv16));
  PREFLIGHT_TRY(
      const auto q,
      device_values(s_.arena.q, std::size_t{kRows} * config_.n_heads * layout.q_values, false));
  std::vector<float> want_keys(keys.size(), 0.0f);
  std::vector<float> want_values(values.size(), 0.0f);
  std::vector<float> want_q(q.size());
  reference::attention_input(qkv, q_norm, k_norm, infos, rope, page_tables, want_keys, want_values,
                             want_q, shape, input_params);
  const auto largest = [](std::span<const float> of) {
    double most = 0;
    for (const float v : of) most = std::max(most, std::abs(double{v}));
    return most;
  };
  const auto compare_plane = [&](const char* name, std::span<const float> got,
                                 std::span<const float> want, std::size_t dim) -> Result<void> {
    // A rotated value may cancel: the error is that of the largest.
    const double error = largest(want) * (1e-5 + (kv16 ? kHalfRounding : 0)) + 1e-7;
    for (std::size_t h = 0; h < layout.n_kv_heads; h++) {
      const std::size_t at = reference::kv_row(0, layout.n_kv_heads, h, 0, dim);
      PREFLIGHT_TRY_VOID(compare(fmt::format("attention_input{}, {} of head {}", kind, name, h),
                                 got.subspan(at, kRows * dim), want.subspan(at, kRows * dim),
                                 [&](std::size_t) { return error; }));
    }
    return {};
  };
  const double q_error = largest(want_q) * 1e-5 + 1e-7;
  PREFLIGHT_TRY_VOID(compare("attention_input" + kind + ", queries", q, want_q,
                             [&](std::size_t) { return q_error; }));
  PREFLIGHT_TRY_VOID(compare_plane("keys", keys, want_keys, layout.key_dim));
  PREFLIGHT_TRY_VOID(compare_plane("values", values, want_values, layout.head_dim));

  // From the device's own queries and pages, so that scores do not magnify their rounding.
  for (const Phase phase : {Phase::kPrefill, Phase::kGenerate}) {
    PREFLIGHT_TRY_VOID(
        run([&](vk::CommandList& list) { ops.attention.record(list, kRows, phase); }));
    PREFLIGHT_TRY(const auto attended,
                  device_values(s_.arena.attended, std::size_t{kRows} * o_stride, act16));
    std::vector<float> want(attended);  // the padding is nobody's
    reference::attention(q, infos, page_tables, keys, values, want, shape, params);
    // Scores are unscaled sums over a whole head, and exp repeats their error relatively.
    const double error = largest(want) * 0.01;
    PREFLIGHT_TRY_VOID(
        compare("attention" + kind + (phase == Phase::kPrefill ? ", prefill" : ", generation"),
                attended, want, [&](std::size_t) { return error; }));
  }
  return {};
}

Result<void> SelfTest::choice() {
  const std::uint32_t vocab = config_.vocab_size;
  auto logits = ramp(vocab);
  const std::uint32_t forbidden = vocab / 2;
  logits[forbidden] = 100.0f;
  logits[vocab / 3] = logits[vocab - 1] = 50.0f;  // in different slices: the lower one wins
  PREFLIGHT_TRY_VOID(write(s_.arena.logits, logits));
  std::vector<std::uint32_t> mask((vocab + 31) / 32, 0xffffffffu);
  mask[forbidden / 32] &= ~(1u << (forbidden % 32));
  std::ranges::copy(mask, host_values<std::uint32_t>(s_.arena.masks).begin());

  const params::ArgmaxParams p{.vocab_size = vocab,
                               .logits_stride = vocab,
                               .mask_stride = static_cast<std::uint32_t>(mask.size())};
  PREFLIGHT_TRY(const SlicedOp op, make_argmax(s_.kernels, s_.arena, vocab));
  PREFLIGHT_TRY_VOID(run([&](vk::CommandList& list) { op.record(list, 1); }));
  const params::ArgmaxEntry got = host_values<params::ArgmaxEntry>(s_.arena.best)[0];
  params::ArgmaxEntry want{};
  reference::argmax(logits, mask, {&want, 1}, p);
  // Ids are compared as numbers; float32 holds those of every vocabulary below 2^24 exactly.
  const std::array<float, 2> got_values = {got.logit, static_cast<float>(got.token)};
  const std::array<float, 2> want_values = {want.logit, static_cast<float>(want.token)};
  return compare("argmax (logit and token)", got_values, want_values,
                 [](std::size_t) { return 0.0; });
}

Result<void> SelfTest::softmax() {
  const std::uint32_t vocab = config_.vocab_size;
  const auto logits = ramp(vocab);
  PREFLIGHT_TRY_VOID(write(s_.arena.logits, logits));
  const std::array<std::uint32_t, 3> tokens = {0, vocab / 2, vocab - 1};
  s_.arena.softmax.ask(0, 0, tokens);
  PREFLIGHT_TRY(const SlicedOp op,
                make_softmax(s_.kernels, s_.arena.logits, s_.arena.softmax, vocab));
  PREFLIGHT_TRY_VOID(run([&](vk::CommandList& list) { op.record(list, 1); }));
  const RowSoftmax got = s_.arena.softmax.answer(0, tokens.size());

  const params::SoftmaxQuery query{.row = 0, .n_tokens = tokens.size()};
  params::SoftmaxSum want{};
  std::array<float, tokens.size()> picked{};
  reference::softmax(logits, {&query, 1}, tokens, {&want, 1}, picked,
                     {.vocab_size = vocab, .logits_stride = vocab});
  const std::array<float, 5> got_values = {got.sum.sum, got.sum.largest, got.logits[0],
                                           got.logits[1], got.logits[2]};
  const std::array<float, 5> want_values = {want.sum, want.largest, picked[0], picked[1],
                                            picked[2]};
  // Of the sum as in norm(); the others are values of the row.
  return compare("softmax (sum, largest and picked logits)", got_values, want_values,
                 [&](std::size_t i) { return i == 0 ? 1e-5 * want.sum : 0.0; });
}

}  // namespace

bool products_agree(const SelfTestSubject& subject) {
  SelfTest test(subject);
  return test.norm().has_value() && test.product().has_value();
}

Result<void> self_test(const SelfTestSubject& subject) {
  SelfTest test(subject);
  PREFLIGHT_TRY_VOID(test.norm());
  PREFLIGHT_TRY_VOID(test.product());
  const auto& kinds = subject.file.config().layer_kinds;
  for (const LayerKind kind : {LayerKind::kSliding, LayerKind::kFull}) {
    const auto found = std::ranges::find(kinds, kind);
    if (found != kinds.end())
      PREFLIGHT_TRY_VOID(test.attention(static_cast<std::uint32_t>(found - kinds.begin())));
  }
  PREFLIGHT_TRY_VOID(test.choice());
  return test.softmax();
}

}  // namespace preflight::forward
