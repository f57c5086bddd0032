// softmax.comp against its twin: the largest logit and the picked ones are values of the row, the
// sum is within float32's error of one in float64.

#include "engine/reference/softmax.h"

#include <limits>
#include <numeric>

#include "engine/forward/softmax_op.h"
#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Rows of logits, and what is asked of them.
struct SoftmaxCase {
  std::uint32_t vocab_size;
  std::vector<float> logits;
  std::vector<std::uint32_t> rows;                 ///< by query
  std::vector<std::vector<std::uint32_t>> tokens;  ///< by query
};

class SoftmaxTest : public ForwardTest {
 protected:
  static std::vector<RowSoftmax> device_answers(const SoftmaxCase& c, bool wide) {
    Kernels& k = kernels({.wide = wide});
    const auto n = static_cast<std::uint32_t>(c.rows.size());
    const vk::Buffer logits = upload(c.logits);
    SoftmaxBuffers buffers = must(SoftmaxBuffers::create(device(), n));
    for (std::uint32_t q = 0; q < n; q++) buffers.ask(q, c.rows[q], c.tokens[q]);
    const SlicedOp op = must(make_softmax(k, logits, buffers, c.vocab_size));
    run([&](vk::CommandList& list) { op.record(list, n); });
    std::vector<RowSoftmax> answers;
    for (std::uint32_t q = 0; q < n; q++) answers.push_back(buffers.answer(q, c.tokens[q].size()));
    return answers;
  }

  static void check(const SoftmaxCase& c) {
    for (const bool wide : {false, true}) {
      const std::vector<RowSoftmax> got = device_answers(c, wide);
      for (std::size_t q = 0; q < c.rows.size(); q++) {
        const params::SoftmaxQuery query{
            .row = c.rows[q], .n_tokens = static_cast<std::uint32_t>(c.tokens[q].size())};
        params::SoftmaxSum want{};
        std::vector<float> picked(c.tokens[q].size());
        reference::softmax(c.logits, {&query, 1}, c.tokens[q], {&want, 1}, picked,
                           {.vocab_size = c.vocab_size, .logits_stride = c.vocab_size});
        EXPECT_EQ(got[q].sum.bad_token, want.bad_token) << "query " << q;
        EXPECT_TRUE(same(got[q].logits, picked)) << "query " << q;
        if (want.bad_token != params::kSoftmaxNoToken) continue;
        EXPECT_EQ(got[q].sum.largest, want.largest) << "query " << q;
        EXPECT_NEAR(got[q].sum.sum, want.sum, 2e-6 * want.sum)
            << "query " << q << " of " << c.vocab_size;
      }
    }
  }
};

TEST_F(SoftmaxTest, MatchesTheTwinOnAllSizes) {
  for (const std::uint32_t vocab : {1u, 31u, 33u, 2048u, 5003u, 262144u}) {
    SoftmaxCase c{.vocab_size = vocab,
                  .logits = normals(std::size_t{3} * vocab, vocab, 4.0f),
                  .rows = {2, 0, 1, 2},  // in any order, of one row more than once
                  .tokens = {{0}, {vocab - 1, vocab / 2, 0}, {}, {}}};
    for (std::uint32_t i = 0; i < params::kSoftmaxTokens; i++) c.tokens[3].push_back(i * 7 % vocab);
    check(c);
  }
}

TEST_F(SoftmaxTest, FlatAndSteepRows) {
  constexpr std::uint32_t kVocab = 262144;
  SoftmaxCase c{.vocab_size = kVocab,
                .logits = std::vector<float>(std::size_t{3} * kVocab, -30.0f),
                .rows = {0, 1, 2},
                .tokens = {{1}, {1}, {1}}};
  c.logits[kVocab + 70000] = 30.0f;                                    // one holds it all
  std::fill_n(c.logits.begin() + 2 * kVocab, kVocab - 1, -kInfinity);  // and nothing else is there
  check(c);
}

TEST_F(SoftmaxTest, NamesTheFirstLogitThatIsNoNumber) {
  constexpr std::uint32_t kVocab = 10000;
  SoftmaxCase c{.vocab_size = kVocab,
                .logits = normals(std::size_t{4} * kVocab, 1),
                .rows = {0, 1, 2, 3},
                .tokens = {{}, {}, {}, {}}};
  c.logits[9000] = c.logits[5000] = std::numeric_limits<float>::quiet_NaN();
  c.logits[kVocab + 77] = -std::numeric_limits<float>::quiet_NaN();
  c.logits[2 * kVocab + 9999] = kInfinity;
  check(c);
  EXPECT_EQ(device_answers(c, false)[0].sum.bad_token, 5000u);

  std::fill(c.logits.begin(), c.logits.end(), -kInfinity);
  for (const RowSoftmax& row : device_answers(c, false))
    EXPECT_EQ(row.sum.largest, std::numeric_limits<float>::lowest());
}

// The same bits, whatever else is asked.
TEST_F(SoftmaxTest, ARowIsTheSameInAnyCompany) {
  constexpr std::uint32_t kVocab = 20011;
  SoftmaxCase c{.vocab_size = kVocab,
                .logits = normals(std::size_t{8} * kVocab, 5, 3.0f),
                .rows = {0, 1, 2, 3, 4, 5, 6, 7},
                .tokens = std::vector<std::vector<std::uint32_t>>(8)};
  const std::vector<RowSoftmax> together = device_answers(c, false);
  for (std::uint32_t row = 0; row < 8; row++) {
    c.rows = {row};
    c.tokens = {{}};
    EXPECT_EQ(device_answers(c, false)[0].sum.sum, together[row].sum.sum) << "row " << row;
  }
}

}  // namespace
}  // namespace preflight::forward
