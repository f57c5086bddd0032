#include "engine/text/chat_json.h"

#include <gtest/gtest.h>

namespace preflight::text {
namespace {

std::string fault(std::string_view json) {
  auto value = parse_value(json, "the request");
  if (!value.has_value()) return value.error().message;
  auto request = read_chat_request(*value);
  return request.has_value() ? "accepted" : request.error().message;
}

TEST(ChatJsonTest, ReadsMediaWithTheirOptions) {
  auto value = parse_value(R"({"messages":[{"role":"user","content":[
      {"type":"image_url","image_url":{"url":"a.png"},"budget":70},
      {"type":"video_url","video_url":{"url":"c.mp4"},"frames":4,"sound":true}]},
      {"role":"user","content":[{"type":"input_audio","input_audio":{"url":"b.wav"}}]}]})",
                           "the request");
  ASSERT_TRUE(value.has_value());
  auto request = read_chat_request(*value);
  ASSERT_TRUE(request.has_value()) << request.error().message;
  ASSERT_EQ(request->media.size(), 3U);
  EXPECT_EQ(request->media[0].url, "a.png");
  EXPECT_EQ(request->media[0].budget, 70U);
  EXPECT_EQ(request->media[1].frames, 4U);
  EXPECT_TRUE(request->media[1].sound);
  EXPECT_EQ(request->media[2].kind, PartKind::kAudio);
  const auto& parts = std::get<std::vector<ContentPart>>(request->messages[1].content);
  EXPECT_EQ(parts[0].media_ix, 2U);
}

TEST(ChatJsonTest, ThinkingHasTwoSpellings) {
  const auto thinking = [](std::string_view json) {
    return read_chat_request(*parse_value(json, "the request"))->thinking;
  };
  EXPECT_FALSE(thinking(R"({"messages":[]})"));
  EXPECT_TRUE(thinking(R"({"messages":[],"thinking":true})"));
  EXPECT_TRUE(thinking(R"({"messages":[],"chat_template_kwargs":{"enable_thinking":true}})"));
}

TEST(ChatJsonTest, NamesThePlaceOfAFault) {
  EXPECT_EQ(fault("{}"), "messages: expected a list");
  EXPECT_EQ(fault(R"({"messages":[3]})"), "messages[0]: expected an object");
  EXPECT_EQ(fault(R"({"messages":[{"role":"bot","content":""}]})"),
            "messages[0].role: found 'bot', expected system, developer, user, assistant or tool");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":4}]})"),
            "messages[0].content: found a number, expected a string or a list of parts");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":[{"type":"smell"}]}]})"),
            "messages[0].content[0].type: found 'smell', expected text, image_url, input_audio or "
            "video_url");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})"),
            R"(messages[0].content[0]: expected "image_url": {"url": "..."})");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","content":[{"type":"image","url":"a",
                     "budget":-1}]}]})"),
            "messages[0].content[0].budget: expected a whole number of at least 1");
  EXPECT_EQ(fault(R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f",
                     "arguments":"[1]"}}]}]})"),
            "messages[0].tool_calls[0].arguments: arguments must be a JSON object");
  EXPECT_EQ(fault(R"({"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f",
                     "arguments":"{"}}]}]})"),
            "messages[0].tool_calls[0].arguments is not valid JSON at byte 2");
  EXPECT_EQ(fault(R"({"messages":[{"role":"user","reasoning":"x"}]})"),
            "messages[0]: only an assistant message has reasoning, tool_calls or tool_responses");
  EXPECT_EQ(fault(R"({"messages":[],"thinking":"yes"})"),
            "thinking: found a string, expected true or false");
}

}  // namespace
}  // namespace preflight::text
