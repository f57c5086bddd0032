// The embedders' own settings: their norms take the epsilons of the image and the sound part, which
// the golden models have equal to the language model's.

#include <cmath>
#include <vector>

#include "engine/media/media.h"
#include "tests/engine/golden.h"
#include "tests/model/file_surgery.h"

namespace preflight::engine {
namespace {

namespace surgery = model::surgery;

struct SoftRows {
  std::vector<float> sound, image;
};

/// What one frame of sound and one patch become in the tiny model, its configuration changed.
SoftRows soft_rows(const surgery::JsonEdit& edit) {
  const surgery::ScratchDirectory scratch;
  surgery::copy_checkpoint("tiny", scratch / "m", edit);
  EngineOptions options;
  options.model = scratch / "m";
  options.tier = vk::Tier::kBase;
  options.max_sequences = 1;
  const auto engine = Engine::load(options);
  EXPECT_TRUE(engine.has_value()) << engine.error().message;
  if (!engine) return {};
  const std::vector<float> samples(media::kAudioFrame, 0.01f);
  media::ImagePatches patch;
  patch.columns = 1;
  patch.rows = 1;
  for (std::uint32_t i = 0; i < media::kPatchValues; i++)
    patch.patches.push_back(static_cast<float>(i % 251) / 255.0f);
  const auto sound = (*engine)->embed_audio(samples);
  const auto image = (*engine)->embed_image(patch);
  EXPECT_TRUE(sound.has_value() && image.has_value());
  if (!sound || !image) return {};
  return {sound->rows, image->rows};
}

TEST(Embedders, EveryPartHasItsOwnEpsilon) {
  constexpr float kSquare = 0.01f * 0.01f;  // the mean square of the samples
  const SoftRows as_made = soft_rows({});
  const SoftRows text = soft_rows([](auto& c) { c["text_config"]["rms_norm_eps"] = 0.1; });
  EXPECT_EQ(text.sound, as_made.sound);
  EXPECT_EQ(text.image, as_made.image);

  const SoftRows parts = soft_rows([&](auto& c) {
    c["audio_config"]["rms_norm_eps"] = kSquare;
    c["vision_config"]["rms_norm_eps"] = 0.5;
  });
  ASSERT_EQ(parts.sound.size(), as_made.sound.size());
  ASSERT_EQ(parts.image.size(), as_made.image.size());
  const float shrunk = std::sqrt((kSquare + 1e-6f) / (2 * kSquare));
  for (std::size_t i = 0; i < parts.sound.size(); i++)
    EXPECT_NEAR(parts.sound[i], shrunk * as_made.sound[i], 1e-4f) << i;
  // All values of a row shrink alike; by how much depends on what stands before the norm.
  std::size_t loudest = 0;
  for (std::size_t i = 0; i < as_made.image.size(); i++)
    if (std::abs(as_made.image[i]) > std::abs(as_made.image[loudest])) loudest = i;
  const float ratio = parts.image[loudest] / as_made.image[loudest];
  EXPECT_LT(ratio, 0.95f);
  for (std::size_t i = 0; i < parts.image.size(); i++)
    EXPECT_NEAR(parts.image[i], ratio * as_made.image[i], 1e-4f) << i;
}

}  // namespace
}  // namespace preflight::engine
