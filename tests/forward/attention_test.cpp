// attention_input.comp and attention.comp over paged sequences: against their twins, and against
// the formula of docs/model.md written without pages, folding or running softmax.

#include "engine/reference/attention.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <random>

#include "engine/forward/arena.h"
#include "engine/forward/attention_op.h"
#include "engine/forward/step.h"
#include "engine/kv/page_pool.h"
#include "engine/model/model_config.h"
#include "engine/reference/attention_input.h"
#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

using model::LayerKind;

struct Block {  // of vision tokens, in the first sequence
  std::uint32_t first, last;
};

struct Case {
  std::string name;
  LayerKind kind;
  std::uint32_t head_dim, n_heads, n_kv_heads, n_rotated;
  bool folded;
  std::uint32_t window;
  std::vector<std::uint32_t> lengths;  ///< of the sequences
  std::vector<Block> blocks = {};
};

const std::vector<Case>& cases() {
  using enum LayerKind;
  static const std::vector<Case> all = {
      // A window that begins inside a page, two pages back.
      {"Sliding", kSliding, 16, 4, 2, 8, false, 70, {150, 66}},
      // Blocks across a page's border, longer than the window, and at the sequence's end.
      {"Vision", kSliding, 16, 2, 1, 8, false, 40, {140, 5}, {{50, 75}, {77, 130}, {135, 139}}},
      {"OneKeyWindow", kSliding, 8, 1, 1, 4, false, 1, {67}},
      {"Full", kFull, 24, 3, 1, 12, false, 8, {130, 3}},
      {"FullPartlyRotated", kFull, 16, 4, 4, 3, false, 8, {70}},
      {"Folded", kFull, 32, 4, 1, 4, true, 8, {130, 64, 65}},
      {"FoldedPaddedPlane", kFull, 16, 2, 2, 3, true, 8, {70}},
      {"FoldedUnrotated", kFull, 16, 2, 1, 0, true, 8, {70}},
      // A group of 3 heads among 16 queries of a tile, and one of more than fit it.
      {"ThreeHeads", kSliding, 24, 6, 2, 12, false, 50, {90, 20, 7}},
      {"ManyHeads", kFull, 16, 36, 2, 4, true, 8, {70}},
      {"EightHeads", kSliding, 16, 8, 1, 8, false, 100, {131}},
      // More dimensions than are taken at a time, and not a multiple of what lanes share.
      {"OddDims", kSliding, 280, 4, 1, 140, false, 60, {70}},
      // The head sizes of the 12B.
      {"Sliding256", kSliding, 256, 2, 1, 128, false, 1024, {68}},
      {"Folded512", kFull, 512, 2, 1, 64, true, 1024, {68}},
  };
  return all;
}

struct Row {
  std::uint32_t sequence, position;
};

/// The case's sequences laid into pages, with the input of every position of each.
struct PagedCase {
  explicit PagedCase(const Case& c);
  [[nodiscard]] model::ModelConfig config() const;
  [[nodiscard]] std::uint32_t last_visible(const Row& row) const;
  /// Those rows' inputs, in that order.
  [[nodiscard]] std::vector<params::RowInfo> infos(std::span<const Row> of) const;
  [[nodiscard]] std::vector<float> rope(std::span<const Row> of) const;
  [[nodiscard]] std::vector<float> qkv(std::span<const Row> of) const;
  [[nodiscard]] std::size_t index(const Row& row) const;

  const Case& c;
  AttentionLayout layout;
  reference::AttentionShape shape;
  std::vector<float> inv_freq, q_norm, k_norm, all_qkv;
  std::vector<Row> rows;  ///< every position of every sequence, shuffled
  std::vector<std::uint32_t> page_tables;
  std::vector<std::uint32_t> table_of;  ///< by sequence
  std::uint32_t n_pages = 0;
};

model::ModelConfig PagedCase::config() const {
  model::ModelConfig config;
  config.n_heads = c.n_heads;
  config.sliding = config.full = {.head_dim = c.head_dim, .n_kv_heads = c.n_kv_heads};
  config.sliding_inv_freq = config.full_inv_freq = inv_freq;
  config.full_value_is_key = c.folded;
  return config;
}

PagedCase::PagedCase(const Case& of) : c(of) {
  for (std::uint32_t i = 0; i < c.head_dim / 2; i++)
    inv_freq.push_back(i < c.n_rotated ? std::pow(10000.0f, -2.0f * static_cast<float>(i) /
                                                                static_cast<float>(c.head_dim))
                                       : 0.0f);
  layout = AttentionLayout::of(config(), c.kind);
  shape = {.head_dim = layout.head_dim,
           .key_dim = layout.key_dim,
           .folded = layout.folded,
           .n_rotated = layout.n_rotated};
  // Norm weights that give scores a deviation of 3, as trained ones do: neither flat nor one key.
  q_norm = normals(c.head_dim, 1, 0.3f);
  for (float& w : q_norm) w += 1.0f;
  k_norm = normals(c.head_dim, 2, 0.3f);
  for (float& w : k_norm) w = (w + 1.0f) * 3.0f / std::sqrt(static_cast<float>(c.head_dim));

  for (std::uint32_t s = 0; s < c.lengths.size(); s++) {
    table_of.push_back(n_pages);
    n_pages += (c.lengths[s] + params::kPageTokens - 1) / params::kPageTokens;
    for (std::uint32_t p = 0; p < c.lengths[s]; p++) rows.push_back({s, p});
  }
  all_qkv = normals(rows.size() * layout.qkv_values, 3, 7.0f);
  std::shuffle(rows.begin(), rows.end(), std::mt19937(4));
  page_tables.resize(n_pages);
  std::iota(page_tables.begin(), page_tables.end(), 0u);
  std::shuffle(page_tables.begin(), page_tables.end(), std::mt19937(5));
}

std::size_t PagedCase::index(const Row& row) const {
  return std::accumulate(c.lengths.begin(), c.lengths.begin() + row.sequence, std::size_t{0}) +
         row.position;
}

std::uint32_t PagedCase::last_visible(const Row& row) const {
  if (row.sequence == 0)
    for (const Block& block : c.blocks)
      if (row.position >= block.first && row.position <= block.last) return block.last;
  return row.position;
}

std::vector<params::RowInfo> PagedCase::infos(std::span<const Row> of) const {
  std::vector<params::RowInfo> infos;
  for (const Row& row : of) {
    // The other kind's table is nowhere: reading it would be a mistake.
    const bool full = c.kind == LayerKind::kFull;
    infos.push_back({.position = row.position,
                     .last_visible = last_visible(row),
                     .sliding_pages = full ? 0x10000000u : table_of[row.sequence],
                     .full_pages = full ? table_of[row.sequence] : 0x10000000u,
                     .token = 0,
                     .soft_row = params::kNoSoftRow,
                     .tile_first = 0,
                     .tile_rows = 0});
  }
  write_row_tiles(std::span(infos), [&](std::uint32_t row) { return of[row].sequence; });
  return infos;
}

std::vector<float> PagedCase::rope(std::span<const Row> of) const {
  std::vector<float> turns;
  for (const Row& row : of)
    for (std::uint32_t i = 0; i < layout.n_rotated; i++) {
      const float angle = static_cast<float>(row.position) * inv_freq[i];
      turns.push_back(std::cos(angle));
      turns.push_back(std::sin(angle));
    }
  return turns;
}

std::vector<float> PagedCase::qkv(std::span<const Row> of) const {
  std::vector<float> out;
  for (const Row& row : of) {
    const auto from = std::span(all_qkv).subspan(index(row) * layout.qkv_values, layout.qkv_values);
    out.insert(out.end(), from.begin(), from.end());
  }
  return out;
}

/// Both kernels on the device, for some of a case's rows after another.
class Pages : public ForwardTest {
 protected:
  struct Planes {
    vk::Buffer keys, values;
  };
  struct Output {
    std::vector<float> q;         ///< [rows, n_heads, q_values]
    std::vector<float> attended;  ///< [rows, n_heads * head_dim]
  };
  static std::size_t plane_values(const PagedCase& s, std::uint32_t dim) {
    return std::size_t{s.n_pages} * s.layout.n_kv_heads * params::kPageTokens * dim;
  }
  static params::AttentionInputParams input_params(const PagedCase& s) {
    return {.n_heads = s.c.n_heads,
            .n_kv_heads = s.layout.n_kv_heads,
            .qkv_stride = s.layout.qkv_values,
            .k_offset = s.layout.k_offset,
            .v_offset = s.layout.v_offset,
            .full = s.c.kind == LayerKind::kFull ? 1u : 0u,
            .epsilon = 1e-6f};
  }
  static params::AttentionParams attention_params(const PagedCase& s) {
    return {.n_heads = s.c.n_heads,
            .n_kv_heads = s.layout.n_kv_heads,
            .o_stride_vec4 = padded(s.c.n_heads * s.c.head_dim) / 4,
            .window = s.c.kind == LayerKind::kFull ? 0 : s.c.window};
  }
  static Planes planes(const PagedCase& s, const Variant& variant) {
    return {untouched(plane_values(s, s.layout.key_dim), variant.kv16),
            untouched(plane_values(s, s.layout.head_dim), variant.kv16)};
  }
  static Output attend(const PagedCase& s, const Variant& variant, const Planes& planes,
                       std::span<const Row> rows, std::span<const std::uint32_t> page_tables,
                       Phase phase, std::optional<std::uint32_t> n_attending = {});
};

Pages::Output Pages::attend(const PagedCase& s, const Variant& variant, const Planes& planes,
                            std::span<const Row> rows, std::span<const std::uint32_t> page_tables,
                            Phase phase, std::optional<std::uint32_t> n_attending) {
  Kernels& k = kernels(variant);
  const auto n = static_cast<std::uint32_t>(rows.size());
  const std::size_t q_size = std::size_t{n} * s.c.n_heads * s.layout.q_values;
  const std::size_t o_size = std::size_t{n} * attention_params(s).o_stride_vec4 * 4;
  const vk::Buffer qkv = upload(s.qkv(rows));
  const vk::Buffer q_norm = upload(s.q_norm);
  const vk::Buffer k_norm = upload(s.k_norm);
  const vk::Buffer infos = upload(s.infos(rows));
  const vk::Buffer rope = upload(s.rope(rows));
  const vk::Buffer tables = upload(page_tables);
  const vk::Buffer q = untouched(q_size);
  const vk::Buffer o = untouched(o_size, variant.act16);
  // Room for three rows: more are served in several passes.
  const std::uint32_t context_tokens = *std::ranges::max_element(s.c.lengths);
  const vk::Buffer ranges =
      untouched(std::size_t{3} * s.c.n_heads *
                max_key_ranges(attention_params(s).window, context_tokens) * (4 + s.c.head_dim));

  const std::vector<std::uint32_t> shape = {k.options().tuning.attention_lanes, s.layout.head_dim,
                                            s.layout.key_dim, s.layout.folded ? 1u : 0u,
                                            s.layout.n_rotated};
  const vk::Pipeline* input =
      must(k.pipeline("attention_input" + k.kv_suffix(), params::kAttentionInputBindings,
                      sizeof(params::AttentionInputParams), shape));
  const std::array<vk::Slice, params::kAttentionInputBindings> input_slices = {
      vk::whole(qkv),         vk::whole(q_norm),        vk::whole(k_norm),
      vk::whole(infos),       vk::whole(rope),          vk::whole(tables),
      vk::whole(planes.keys), vk::whole(planes.values), vk::whole(q)};
  const RowOp input_op = RowOp::of(input, must(k.bind(*input, input_slices)), input_params(s),
                                   s.c.n_heads + 2 * s.layout.n_kv_heads);
  const std::array<vk::Slice, params::kAttentionTileBindings> slices = {
      vk::whole(q),           vk::whole(infos),         vk::whole(tables),
      vk::whole(planes.keys), vk::whole(planes.values), vk::whole(o),
      vk::whole(ranges)};
  const AttentionOp op =
      must(make_attention(k, s.layout, slices, attention_params(s), context_tokens));
  run([&](vk::CommandList& list) {
    input_op.record(list, n);
    list.barrier();
    op.record(list, n_attending.value_or(n), phase);
  });
  return {read_values(q, q_size), read_values(o, o_size, variant.act16)};
}

class AttentionTest : public Pages,
                      public testing::WithParamInterface<std::tuple<std::size_t, Variant, Phase>> {
 protected:
  static const Case& the_case() { return cases()[std::get<0>(GetParam())]; }
  static const Variant& variant() { return std::get<1>(GetParam()); }
  static Phase phase() { return std::get<2>(GetParam()); }
};

TEST_P(AttentionTest, MatchesTheTwins) {
  const PagedCase s(the_case());
  const Planes stored = planes(s, variant());
  const Output got = attend(s, variant(), stored, s.rows, s.page_tables, phase());
  const auto infos = s.infos(s.rows);

  std::vector<float> keys(plane_values(s, s.layout.key_dim), kUntouched);
  std::vector<float> values(plane_values(s, s.layout.head_dim), kUntouched);
  std::vector<float> q(got.q.size(), kUntouched);
  reference::attention_input(s.qkv(s.rows), s.q_norm, s.k_norm, infos, s.rope(s.rows),
                             s.page_tables, keys, values, q, s.shape, input_params(s));
  const auto got_keys = read_values(stored.keys, keys.size(), variant().kv16);
  const auto got_values = read_values(stored.values, values.size(), variant().kv16);
  // As norm_test's 2e-6 of values that pass 5 only together with the rotation's second product; a
  // float16 page rounds once more.
  const auto plane = [&](const std::vector<float>& want) {
    return [&](std::size_t i) { return 1e-5 + (variant().kv16 ? half_rounding(want[i]) : 0); };
  };
  EXPECT_TRUE(near(got.q, q, 1e-5));
  EXPECT_TRUE(near(got_keys, keys, plane(keys)));
  EXPECT_TRUE(near(got_values, values, plane(values)));

  // From the queries and pages as the device holds them, so that errors do not add up.
  std::vector<float> attended(got.attended.size(), kUntouched);
  reference::attention(got.q, infos, s.page_tables, got_keys, got_values, attended, s.shape,
                       attention_params(s));
  // A score of terms that add to 50 in magnitude is off by about 1e-5, which the weights repeat
  // relatively; Vulkan allows exp an error that grows with its argument, 3e-6 at 20; values
  // reach 5. CPU drivers measure below 3e-6 in all.
  EXPECT_TRUE(near(got.attended, attended, [&](std::size_t i) {
    return 5e-5 + (variant().act16 ? half_rounding(attended[i]) : 0);
  }));
}

TEST_P(AttentionTest, ARowIsBitEqualAloneAndWithoutThePagesBehindItsWindow) {
  const PagedCase s(the_case());
  const Planes stored = planes(s, variant());
  const Output all = attend(s, variant(), stored, s.rows, s.page_tables, phase());
  const std::size_t stride = all.attended.size() / s.rows.size();
  for (std::size_t r = 0; r < s.rows.size(); r += std::max<std::size_t>(1, s.rows.size() / 6)) {
    auto tables = s.page_tables;
    const Row& row = s.rows[r];
    if (s.c.kind == LayerKind::kSliding && row.position + 1 > s.c.window)
      for (std::uint32_t page = 0; page < (row.position + 1 - s.c.window) / params::kPageTokens;
           page++)
        tables[s.table_of[row.sequence] + page] = kv::kNoPage;
    const Output alone = attend(s, variant(), stored, std::span(&row, 1), tables, phase());
    EXPECT_TRUE(same(alone.attended, std::span(all.attended).subspan(r * stride, stride)))
        << "sequence " << row.sequence << ", position " << row.position;
  }
}

/// Sequences so long that later key ranges span several pages.
class LongAttention : public Pages, public testing::WithParamInterface<Phase> {};

TEST_P(LongAttention, MatchesTheTwinInEveryRange) {
  const Case c{"Long", LayerKind::kFull, 8, 2, 1, 4, false, 8, {8450}};
  PagedCase s(c);
  // Those that attend stand first: at the borders of ranges and of doublings.
  const std::vector<std::uint32_t> chosen = {63, 64, 4095, 4096, 4224, 8191, 8192, 8449};
  std::ranges::sort(s.rows, {}, [&](const Row& row) {
    return std::pair(std::ranges::find(chosen, row.position) == chosen.end(), row.position);
  });
  const auto n = static_cast<std::uint32_t>(chosen.size());
  const Variant variant{.wide = true};
  const Planes stored = planes(s, variant);
  const Output got = attend(s, variant, stored, s.rows, s.page_tables, GetParam(), n);

  const auto keys = read_values(stored.keys, plane_values(s, s.layout.key_dim));
  const auto values = read_values(stored.values, plane_values(s, s.layout.head_dim));
  std::vector<float> want(got.attended.size(), kUntouched);
  const auto rows = std::span<const Row>(s.rows).first(n);
  reference::attention(got.q, s.infos(rows), s.page_tables, keys, values, want, s.shape,
                       attention_params(s));
  EXPECT_TRUE(near(got.attended, want, 5e-5));  // as above
}

INSTANTIATE_TEST_SUITE_P(Phases, LongAttention, testing::Values(Phase::kPrefill, Phase::kGenerate),
                         [](const auto& test) {
                           return test.param == Phase::kPrefill ? "Prefill" : "Generate";
                         });

TEST(KeyRanges, AsManyAsTheirDefinitionSays) {
  EXPECT_EQ(max_key_ranges(0, 1), 1u);
  EXPECT_EQ(max_key_ranges(0, 64), 1u);
  EXPECT_EQ(max_key_ranges(0, 4096), 64u);  // a page each
  EXPECT_EQ(max_key_ranges(0, 4097), 65u);  // two pages each
  EXPECT_EQ(max_key_ranges(0, 8192), 96u);
  EXPECT_EQ(max_key_ranges(0, 8193), 97u);  // four
  EXPECT_EQ(max_key_ranges(0, 262144), 256u);
  EXPECT_EQ(max_key_ranges(1024, 262144), 17u);  // from inside a page into the 17th
  EXPECT_EQ(max_key_ranges(1024, 100), 2u);
  EXPECT_EQ(max_key_ranges(1, 100), 1u);
  EXPECT_EQ(max_key_ranges(2, 100), 2u);
}

std::string case_name(const testing::TestParamInfo<AttentionTest::ParamType>& instance) {
  return cases()[std::get<0>(instance.param)].name + std::get<1>(instance.param).name() +
         (std::get<2>(instance.param) == Phase::kPrefill ? "Prefill" : "Generate");
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionTest,
                         testing::Combine(testing::Range<std::size_t>(0, cases().size()),
                                          testing::Values(Variant{},
                                                          Variant{.act16 = true, .kv16 = true},
                                                          Variant{.kv16 = true, .texels = true}),
                                          testing::Values(Phase::kPrefill)),
                         case_name);
// What cards run: tiles for prefill, split key ranges for generation.
INSTANTIATE_TEST_SUITE_P(Tiles, AttentionTest,
                         testing::Combine(testing::Range<std::size_t>(0, cases().size()),
                                          testing::Values(Variant{.wide = true}),
                                          testing::Values(Phase::kPrefill, Phase::kGenerate)),
                         case_name);
INSTANTIATE_TEST_SUITE_P(
    HalfTiles, AttentionTest,
    testing::Combine(testing::Values(std::size_t{1}, cases().size() - 2, cases().size() - 1),
                     testing::Values(Variant{.act16 = true, .kv16 = true, .wide = true}),
                     testing::Values(Phase::kPrefill, Phase::kGenerate)),
    case_name);
INSTANTIATE_TEST_SUITE_P(
    HalfInputsOverFloatPages, AttentionTest,
    testing::Values(std::tuple(std::size_t{0}, Variant{.act16 = true}, Phase::kPrefill),
                    std::tuple(std::size_t{5}, Variant{.act16 = true}, Phase::kPrefill),
                    std::tuple(std::size_t{5}, Variant{.act16 = true, .wide = true},
                               Phase::kGenerate)),
    case_name);

/// docs/model.md, attention and masks, for one row and head: no pages, no folding, plain softmax.
class Formula {
 public:
  explicit Formula(const PagedCase& s) : s_(s) {}

  [[nodiscard]] std::vector<double> attended(const Row& row, std::uint32_t head) const {
    const std::uint32_t kv_head = head / (s_.c.n_heads / s_.c.n_kv_heads);
    const auto q = rotated(normed(row, head * s_.c.head_dim, &s_.q_norm), row.position);
    std::vector<double> weights;
    std::vector<std::vector<double>> values;
    double sum = 0;
    for (std::uint32_t j = 0; j < s_.c.lengths[row.sequence]; j++) {
      if (!visible(row, j)) continue;
      const Row key{row.sequence, j};
      const std::uint32_t k_at = s_.layout.k_offset + kv_head * s_.c.head_dim;
      const std::uint32_t v_at = s_.layout.v_offset + kv_head * s_.c.head_dim;
      const auto k = rotated(normed(key, k_at, &s_.k_norm), j);
      weights.push_back(std::exp(std::inner_product(q.begin(), q.end(), k.begin(), 0.0)));
      sum += weights.back();
      values.push_back(normed(key, v_at, nullptr));
    }
    std::vector<double> out(s_.c.head_dim, 0.0);
    for (std::size_t j = 0; j < values.size(); j++)
      for (std::size_t d = 0; d < out.size(); d++) out[d] += weights[j] / sum * values[j][d];
    return out;
  }

 private:
  [[nodiscard]] bool visible(const Row& row, std::uint32_t j) const {
    if (s_.c.kind == LayerKind::kFull) return j <= row.position;
    const auto block = [&](std::uint32_t position) {
      for (std::size_t b = 0; b < s_.c.blocks.size(); b++)
        if (row.sequence == 0 && position >= s_.c.blocks[b].first &&
            position <= s_.c.blocks[b].last)
          return static_cast<int>(b);
      return -1;
    };
    const bool same_block = block(j) >= 0 && block(j) == block(row.position);
    return (j <= row.position || same_block) && j + s_.c.window > row.position;
  }
  [[nodiscard]] std::vector<double> normed(const Row& row, std::uint32_t at,
                                           const std::vector<float>* weight) const {
    const auto head =
        std::span(s_.all_qkv).subspan(s_.index(row) * s_.layout.qkv_values + at, s_.c.head_dim);
    double squares = 0;
    for (const float v : head) squares += double{v} * v;
    std::vector<double> out(head.begin(), head.end());
    for (std::size_t d = 0; d < out.size(); d++) {
      out[d] /= std::sqrt(squares / s_.c.head_dim + 1e-6);
      if (weight != nullptr) out[d] *= (*weight)[d];
    }
    return out;
  }
  [[nodiscard]] std::vector<double> rotated(const std::vector<double>& x,
                                            std::uint32_t position) const {
    const std::size_t half = x.size() / 2;
    std::vector<double> out(x.size());
    for (std::size_t i = 0; i < half; i++) {
      const double angle = static_cast<float>(position) * s_.inv_freq[i];
      out[i] = x[i] * std::cos(angle) - x[i + half] * std::sin(angle);
      out[i + half] = x[i + half] * std::cos(angle) + x[i] * std::sin(angle);
    }
    return out;
  }
  const PagedCase& s_;
};

class AttentionFormula : public Pages, public testing::WithParamInterface<std::size_t> {};

TEST_P(AttentionFormula, IsWhatTheKernelsCompute) {
  const PagedCase s(cases()[GetParam()]);
  const Planes stored = planes(s, {});
  const Output got = attend(s, {}, stored, s.rows, s.page_tables, Phase::kPrefill);
  const std::size_t stride = got.attended.size() / s.rows.size();
  const Formula formula(s);
  for (std::size_t r = 0; r < s.rows.size(); r += 1 + s.rows.size() / 60)
    for (std::uint32_t h = 0; h < s.c.n_heads; h++) {
      const auto wanted = formula.attended(s.rows[r], h);
      const std::vector<float> want(wanted.begin(), wanted.end());
      // The kernels' tolerances above, one after the other.
      EXPECT_TRUE(near(std::span(got.attended).subspan(r * stride + h * want.size(), want.size()),
                       want, 1e-4))
          << "position " << s.rows[r].position << ", head " << h;
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, AttentionFormula, testing::Range<std::size_t>(0, cases().size()),
                         [](const auto& instance) { return cases()[instance.param].name; });

}  // namespace
}  // namespace preflight::forward
