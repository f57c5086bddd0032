// The self-test that runs after every load: silent on a device that computes, one sentence on one
// that does not. A device that computes wrongly is one whose weights are not those of the file.

#include "engine/forward/self_test.h"

#include <optional>

#include "engine/forward/attention_op.h"
#include "tests/engine/made_model.h"
#include "tests/forward/forward_test.h"

namespace preflight::forward {
namespace {

class SelfTestTest : public ForwardTest, public testing::WithParamInterface<Variant> {
 protected:
  void SetUp() override {
    ForwardTest::SetUp();
    file_.emplace(must(model::ModelFile::open(made_.path(), {})));
    const model::ModelConfig& config = file_->config();
    Kernels& k = kernels(GetParam());
    plan_.max_rows = 8;
    plan_.max_head_rows = plan_.max_sequences = 1;
    plan_.context_tokens = 64;
    plan_.sliding_pages = plan_.full_pages = 1;
    plan_.attention_tiles = uses_attention_tiles(k.options().tuning);
    plan_.quantised = k.options().dot;
    plan_.sliding = AttentionLayout::of(config, model::LayerKind::kSliding);
    plan_.full = AttentionLayout::of(config, model::LayerKind::kFull);
    weights_.emplace(must(load_weights(device(), uploader(), *file_, k.interleave())));
    arena_.emplace(must(Arena::create(device(), config, plan_, GetParam().act16, GetParam().kv16)));
    must(arena_->clear(device(), submitter()));
  }
  void TearDown() override {
    arena_.reset();
    weights_.reset();
    file_.reset();
    ForwardTest::TearDown();
  }

  Result<void> test() {
    return self_test({.device = device(),
                      .submitter = submitter(),
                      .uploader = uploader(),
                      .kernels = kernels(GetParam()),
                      .file = *file_,
                      .weights = *weights_,
                      .arena = *arena_,
                      .plan = plan_});
  }
  void expect_refusal(const std::string& operation) {
    const auto tested = test();
    ASSERT_FALSE(tested.has_value());
    EXPECT_EQ(tested.error().code, ErrorCode::kUnsupported);
    const std::string& message = tested.error().message;
    EXPECT_EQ(message.find(device().description().name), 0u) << message;
    EXPECT_NE(message.find(" computes wrong results: " + operation), std::string::npos) << message;
    EXPECT_NE(message.find(", expected "), std::string::npos) << message;
  }
  static void overwrite(vk::Buffer& buffer, std::size_t offset_bytes, float value) {
    must(uploader().write(buffer, offset_bytes, std::as_bytes(std::span(&value, 1))));
  }

  // One layer of each kind.
  const engine::MadeModel made_{{.n_layers = 2, .n_threads = 1}};
  std::optional<model::ModelFile> file_;
  ArenaPlan plan_;
  std::optional<ModelWeights> weights_;
  std::optional<Arena> arena_;
};

TEST_P(SelfTestTest, PassesAsOftenAsItRuns) {
  for (int i = 0; i < 3; i++) must(test());
}

TEST_P(SelfTestTest, OneWrongValueIsNamed) {
  LayerWeights& layer = weights_->layers[0];
  overwrite(layer.attn_norm, 40, 9.0f);
  expect_refusal("rms_norm: value 10 is ");
}

TEST_P(SelfTestTest, AWrongWeightOfAProductIsNamed) {
  overwrite(weights_->layers[0].projections.front().parts.front().buffer, 0, 3.1e7f);
  expect_refusal("matmul of q4_0 weights, 1 rows: value ");
}

TEST_P(SelfTestTest, WrongAttentionOfEitherKindIsNamed) {
  overwrite(weights_->layers[1].q_norm, 4, -5.0f);
  expect_refusal("attention_input of a full layer, queries: value ");
  overwrite(weights_->layers[0].k_norm, 4, std::numeric_limits<float>::quiet_NaN());
  expect_refusal("attention_input of a sliding layer, keys of head 0: value ");
}

INSTANTIATE_TEST_SUITE_P(Variants, SelfTestTest,
                         testing::Values(Variant{.kv16 = true},
                                         Variant{.kv16 = true, .texels = true},
                                         Variant{.kv16 = true, .addresses = true},
                                         Variant{.act16 = true, .kv16 = true, .wide = true},
                                         Variant{.act16 = true, .kv16 = true, .dot = true},
                                         Variant{}),
                         [](const auto& instance) { return instance.param.name(); });

}  // namespace
}  // namespace preflight::forward
