// The child is not trusted: whatever it answers is a value or an error here, never a read outside
// the shared memory.

#include <cstddef>
#include <random>

#include <gtest/gtest.h>

#include "engine/media/decoder/reply.h"

namespace preflight::media {
namespace {

std::vector<std::byte> memory_of(std::size_t n) { return std::vector<std::byte>(n); }

TEST(HostileReply, ArraysMustLieInTheMemory) {
  const auto memory = memory_of(300);
  const auto image = [&](const std::string& size) {
    return parse_image(
        R"({"format":"png","orientation":1,"had_alpha":false,"frames_left_out":0,)" + size + "}",
        memory);
  };
  EXPECT_TRUE(image(R"("width":10,"height":10,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":10,"height":10,"at":1)").has_value());
  EXPECT_FALSE(image(R"("width":11,"height":10,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":0,"height":10,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":4294967295,"height":4294967295,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":10,"height":10,"at":18446744073709551615)").has_value());
  EXPECT_FALSE(image(R"("width":-10,"height":10,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":1e1,"height":10,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":"10","height":10,"at":0)").has_value());
  EXPECT_FALSE(image(R"("width":10,"height":10)").has_value());
}

TEST(HostileReply, SamplesMustBeNumbers) {
  std::vector<std::byte> memory(8, std::byte{0xff});  // two NaN
  EXPECT_FALSE(parse_sound(R"({"n_samples":2,"at":0,"source_rate_hz":1,"source_channels":1,)"
                           R"("source_samples":2,"cut_samples":0,"missing_samples":0,)"
                           R"("broken_packets":0,"start_s":0})",
                           memory)
                   .has_value());
}

TEST(HostileReply, FramesMustAscendWithinTheFilm) {
  const auto memory = memory_of(3);
  const auto video = [&](const std::string& frames) {
    return parse_video(R"({"n_frames":2,"broken_frames":0,"duration_s":1,"constant_rate":true,)"
                       R"("frames_per_s":2,"has_sound_track":false,"frames":[)" +
                           frames + "]}",
                       memory);
  };
  const auto frame = [](int index) {
    return R"({"width":1,"height":1,"at":0,"time_s":0,"source_width":1,"source_height":1,"index":)" +
           std::to_string(index) + "}";
  };
  EXPECT_TRUE(video(frame(0) + "," + frame(1)).has_value());
  EXPECT_FALSE(video(frame(1) + "," + frame(0)).has_value());
  EXPECT_FALSE(video(frame(1) + "," + frame(1)).has_value());
  EXPECT_FALSE(video(frame(2)).has_value());
  EXPECT_FALSE(video("").has_value());
  EXPECT_FALSE(video("[]").has_value());
}

TEST(HostileReply, ItsWordsComeOutAsOneShortLine) {
  const auto image = parse_image(
      R"({"error":{"code":0,"says":"a\nb\u001b[31m)" + std::string(100000, 'x') + R"("}})", {});
  ASSERT_FALSE(image.has_value());
  EXPECT_LE(image.error().message.size(), 400u);
  for (const char c : image.error().message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
}

TEST(HostileReply, NoDocumentAtAllIsAnError) {
  for (const char* reply : {"", "null", "[]", "{}", "{\"error\":1}", "{\"error\":{\"code\":99}}",
                            "\xff\xfe", "{\"width\":"}) {
    EXPECT_FALSE(parse_image(reply, {}).has_value()) << reply;
    EXPECT_FALSE(parse_sound(reply, {}).has_value()) << reply;
    EXPECT_FALSE(parse_video(reply, {}).has_value()) << reply;
    EXPECT_FALSE(parse_facts(reply).has_value()) << reply;
    EXPECT_FALSE(parse_kind(reply).has_value()) << reply;
  }
  EXPECT_FALSE(parse_facts(std::string(200000, '[')).has_value());
}

TEST(Facts, SurviveTheirJson) {
  MediaFacts facts;
  facts.container = "mp4";
  facts.size_bytes = 123456789012;
  facts.duration_s = 15.04;
  facts.streams = {{.kind = "video", .codec = "h264"}, {.kind = "sound", .codec = "aac"}};
  facts.decodes = true;
  facts.video.emplace();
  facts.video->rotation_degrees = 270;
  facts.video->black = {{.start_s = 0.5, .end_s = 1.25}};
  facts.video->cuts = {{.time_s = 3.0, .score = 44.5}};
  facts.video->letterbox = Letterbox{.top = 1, .bottom = 2, .left = 3, .right = 4};
  facts.sound.emplace();
  facts.sound->integrated_lufs = -14.25;
  const std::string json = facts_to_json(facts);
  const auto back = facts_from_json(json);
  ASSERT_TRUE(back.has_value()) << back.error().message;
  EXPECT_EQ(facts_to_json(*back), json);
  EXPECT_EQ(back->video->letterbox->right, 4u);
  EXPECT_FALSE(back->image.has_value());
  EXPECT_EQ(json.find("true_peak"), std::string::npos);
}

}  // namespace
}  // namespace preflight::media
