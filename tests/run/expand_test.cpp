#include "engine/run/expand.h"

#include <algorithm>
#include <cstring>

#include <gtest/gtest.h>

#include "engine/model/model_file.h"
#include "engine/model/safetensors_file.h"

namespace preflight::run {
namespace {

const std::string kGolden = PREFLIGHT_TEST_DATA "/golden/";

struct Model {
  text::Tokenizer tokenizer;
  model::SpecialTokens special;
};

Model golden_model(const std::string& name) {
  auto file = model::ModelFile::open(kGolden + "models/" + name, {});
  EXPECT_TRUE(file.has_value()) << file.error().message;
  auto tokenizer = text::Tokenizer::create(*file->tokenizer_data());
  EXPECT_TRUE(tokenizer.has_value()) << tokenizer.error().message;
  return {std::move(*tokenizer), file->special_tokens()};
}

std::vector<std::int32_t> golden_ids(const std::string& name) {
  auto file = model::SafetensorsFile::open(kGolden + "cases/" + name + ".safetensors");
  EXPECT_TRUE(file.has_value()) << file.error().message;
  const model::SafeTensor* tensor = file->find("ids");
  std::vector<std::int32_t> ids(tensor->bytes.size() / sizeof(std::int32_t));
  std::memcpy(ids.data(), tensor->bytes.data(), tensor->bytes.size());
  return ids;
}

MediumCounts picture(std::uint32_t n) { return {.frames = {{0.0, n}}, .clips = {}}; }
MediumCounts sound(std::uint32_t n) { return {.frames = {}, .clips = {{0.0, n}}}; }

/// The golden clip: 40 frames at 10 per second, `n` of them spread over it, 66 soft tokens each.
MediumCounts film(std::uint32_t n, std::uint32_t n_tokens) {
  MediumCounts counts;
  for (std::uint32_t i = 0; i < n; ++i) counts.frames.push_back({i * 40 / n / 10.0, n_tokens});
  return counts;
}

/// The lengths of the golden ids' runs of one placeholder, in order.
std::vector<std::uint32_t> runs_of(const std::vector<std::int32_t>& ids, std::int32_t placeholder) {
  std::vector<std::uint32_t> runs;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != placeholder) continue;
    if (i == 0 || ids[i - 1] != placeholder) runs.push_back(0);
    ++runs.back();
  }
  return runs;
}

/// Counts for a request, taken from how many placeholders the golden ids have.
std::vector<MediumCounts> counts_from(const Request& request, const std::vector<std::int32_t>& ids,
                                      const model::SpecialTokens& special) {
  auto pictures = runs_of(ids, special.image);
  auto sounds = runs_of(ids, special.audio);
  const auto frames = runs_of(ids, special.video);
  const auto take = [](std::vector<std::uint32_t>& runs) {
    const std::uint32_t first = runs.at(0);
    runs.erase(runs.begin());
    return first;
  };
  std::vector<MediumCounts> counts;
  for (const MediaSource& source : request.media) {
    if (source.kind == text::PartKind::kImage) counts.push_back(picture(take(pictures)));
    if (source.kind == text::PartKind::kAudio) counts.push_back(sound(take(sounds)));
    if (source.kind == text::PartKind::kVideo) {
      counts.push_back(film(static_cast<std::uint32_t>(frames.size()), frames.at(0)));
      if (source.sound) counts.back().clips.push_back({0.0, take(sounds)});
    }
  }
  return counts;
}

class GoldenRequest : public testing::TestWithParam<const char*> {};

TEST_P(GoldenRequest, BecomesTheGoldenIds) {
  const std::string name = GetParam();
  const Model golden = golden_model(name.starts_with("wide") ? "wide" : "tiny");
  auto request = read_request(kGolden + "cases/" + name + ".json");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  const std::vector<std::int32_t> expected = golden_ids(name);
  const auto counts = counts_from(*request, expected, golden.special);
  auto expanded = expand(*request, counts, golden.tokenizer, golden.special);
  ASSERT_TRUE(expanded.has_value()) << expanded.error().message;
  EXPECT_EQ(expanded->ids, expected);

  for (const SoftSpan& span : expanded->soft) {
    const auto first = expanded->ids.begin() + static_cast<std::ptrdiff_t>(span.begin_ix);
    EXPECT_EQ(std::count(first, first + span.n_tokens, *first), span.n_tokens);
    EXPECT_EQ(span.vision, *first != golden.special.audio);
    EXPECT_NE(*(first + span.n_tokens), *first);
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenRequest,
                         testing::Values("text-ids", "text-long", "text-nobos", "text-one",
                                         "text-short", "text-special", "text-split", "wide-long",
                                         "wide-short", "chat-plain", "chat-system", "chat-think",
                                         "chat-turns", "chat-tools", "chat-toolresult",
                                         "chat-toolthink", "chat-image", "chat-audio", "image-70",
                                         "images-two", "audio-three", "video-4", "video-4-stills",
                                         "video-32", "video-sound", "video-track", "mixed"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::erase(name, '-');
                           return name;
                         });

TEST(ExpandTest, PlaceholdersInTextAreNoMedia) {
  const Model golden = golden_model("tiny");
  auto request = parse_request(
      R"({"parts":[{"text":"<|image|>"},{"image":"a.png"},{"text":"<|image|>"}]})", "");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  auto expanded = expand(*request, std::vector{picture(2)}, golden.tokenizer, golden.special);
  ASSERT_TRUE(expanded.has_value()) << expanded.error().message;
  const model::SpecialTokens& s = golden.special;
  EXPECT_EQ(expanded->ids,
            (std::vector<std::int32_t>{s.bos, s.image, s.boi, s.image, s.image, s.eoi, s.image}));
  ASSERT_EQ(expanded->soft.size(), 1U);
  EXPECT_EQ(expanded->soft[0].begin_ix, 3U);
  EXPECT_EQ(expanded->soft[0].n_tokens, 2U);
}

TEST(ExpandTest, ALongFilmGoesClipByClip) {
  const Model golden = golden_model("tiny");
  auto request = parse_request(R"({"bos":false,"parts":[{"video":"c.mp4","sound":true}]})", "");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  MediumCounts counts;
  for (const double time_s : {0.0, 20.0, 40.0}) counts.frames.push_back({time_s, 1});
  counts.clips = {{0.0, 2}, {29.5, 3}};
  auto expanded = expand(*request, std::vector{counts}, golden.tokenizer, golden.special);
  ASSERT_TRUE(expanded.has_value()) << expanded.error().message;
  EXPECT_EQ(golden.tokenizer.decode(expanded->ids, true),
            "00:00 <|image><|video|><image|> 00:20 <|image><|video|><image|>"
            "<|audio><|audio|><|audio|><audio|>"
            "00:40 <|image><|video|><image|><|audio><|audio|><|audio|><|audio|><audio|>");
  std::vector<std::size_t> items;
  for (const SoftSpan& span : expanded->soft) items.push_back(span.item_ix);
  EXPECT_EQ(items, (std::vector<std::size_t>{0, 1, 0, 2, 1}));
}

TEST(ExpandTest, TheBeginTokenStandsOnce) {
  const Model golden = golden_model("tiny");
  auto request = parse_request(R"({"parts":[{"text":"<bos>a"}]})", "");
  auto expanded = expand(*request, {}, golden.tokenizer, golden.special);
  ASSERT_TRUE(expanded.has_value()) << expanded.error().message;
  EXPECT_EQ(std::count(expanded->ids.begin(), expanded->ids.end(), golden.special.bos), 1);
}

TEST(ExpandTest, RefusesWhatTheModelCannotRead) {
  const Model golden = golden_model("tiny");
  const auto fault = [&](std::string_view json, const model::SpecialTokens& special) {
    auto request = parse_request(json, "");
    const std::vector<MediumCounts> counts(request->media.size(), picture(1));
    auto expanded = expand(*request, counts, golden.tokenizer, special);
    return expanded.has_value() ? "accepted" : expanded.error().message;
  };
  EXPECT_EQ(fault(R"({"ids":[3,1056]})", golden.special),
            "ids[1] is 1056, the model's vocabulary has the ids 0 to 1055");
  EXPECT_EQ(fault(R"({"ids":[]})", golden.special), "the request holds no token");
  EXPECT_EQ(fault(R"({"parts":[],"bos":false})", golden.special), "the request holds no token");
  model::SpecialTokens without = golden.special;
  without.image = -1;
  EXPECT_EQ(fault(R"({"parts":[{"image":"a.png"}]})", without),
            "the request holds a picture, but the model's vocabulary has no tokens for it");
}

}  // namespace
}  // namespace preflight::run
