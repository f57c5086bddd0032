#include "engine/run/request.h"

#include <gtest/gtest.h>

namespace preflight::run {
namespace {

std::string fault(std::string_view json) {
  auto request = parse_request(json, "/folder");
  return request.has_value() ? "accepted" : request.error().message;
}

TEST(RequestTest, ReadsParts) {
  auto request = parse_request(R"({"parts":[{"text":"a"},{"image":"x/a.png","budget":70},
      {"audio":"/abs/b.wav"},{"video":"c.safetensors","frames":4,"sound":true},
      {"video":"d.mp4"},{"image":"e.png"}],"bos":false})",
                               "/folder");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  EXPECT_FALSE(request->add_bos);
  EXPECT_FALSE(request->ids.has_value());
  ASSERT_EQ(request->parts.size(), 6U);
  EXPECT_EQ(request->parts[0].segment, (text::Segment{"a", true}));
  EXPECT_EQ(request->parts[3].media_ix, 2U);
  ASSERT_EQ(request->media.size(), 5U);
  EXPECT_EQ(request->media[0].path, "/folder/x/a.png");
  EXPECT_EQ(request->media[0].name, "x/a.png");
  EXPECT_EQ(request->media[0].budget_tokens(), 70U);
  EXPECT_EQ(request->media[1].path, "/abs/b.wav");
  EXPECT_TRUE(request->media[2].is_preprocessed());
  EXPECT_EQ(request->media[2].frames, 4U);
  EXPECT_TRUE(request->media[2].sound);
  EXPECT_EQ(request->media[3].budget_tokens(), 70U);
  EXPECT_FALSE(request->media[3].frames.has_value());
  EXPECT_EQ(request->media[4].budget_tokens(), 280U);
}

TEST(RequestTest, ReadsMessages) {
  auto request = parse_request(R"({"messages":[{"role":"user","content":[
      {"type":"image_url","image_url":{"url":"file:///a.png"},"budget":140},
      {"type":"text","text":"Hi"}]}]})",
                               "/folder");
  ASSERT_TRUE(request.has_value()) << request.error().message;
  EXPECT_FALSE(request->add_bos);  // the chat format writes it
  EXPECT_FALSE(request->starts_in_thought);
  ASSERT_EQ(request->media.size(), 1U);
  EXPECT_EQ(request->media[0].path, "/a.png");
  EXPECT_EQ(request->media[0].budget_tokens(), 140U);
  auto thinking = parse_request(R"({"thinking":true,"messages":[{"role":"user","content":"a"},
      {"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f"}}]},
      {"role":"tool","tool_call_id":"1","content":"r"}]})",
                                "");
  ASSERT_TRUE(thinking.has_value()) << thinking.error().message;
  EXPECT_TRUE(thinking->starts_in_thought);
}

TEST(RequestTest, NamesThePlaceOfAFault) {
  EXPECT_EQ(fault("{"), "the request is not valid JSON at byte 2");
  for (const char* json : {"{}", "[]", "3", R"({"ids":[1],"parts":[]})"}) {
    EXPECT_EQ(fault(json), "the request: expected an object with one of ids, parts or messages");
  }
  EXPECT_EQ(fault(R"({"ids":3})"), "ids: expected a list of token ids");
  EXPECT_EQ(fault(R"({"ids":[3,-1]})"), "ids[1]: expected a token id");
  EXPECT_EQ(fault(R"({"ids":[1.5]})"), "ids[0]: expected a token id");
  EXPECT_EQ(fault(R"({"ids":[4294967299]})"), "ids[0]: expected a token id");
  EXPECT_EQ(fault(R"({"parts":{}})"), "parts: expected a list");
  EXPECT_EQ(fault(R"({"parts":[],"bos":1})"), "bos: found a number, expected true or false");
  EXPECT_EQ(fault(R"({"parts":[3]})"), "parts[0]: expected one of text, image, audio or video");
  EXPECT_EQ(fault(R"({"parts":[{"text":"a","image":"b"}]})"),
            "parts[0]: holds two of text, image, audio and video");
  EXPECT_EQ(fault(R"({"parts":[{"text":3}]})"), "parts[0]: found a number, expected a string");
  EXPECT_EQ(fault(R"({"parts":[{"image":"a","budgt":70}]})"),
            "parts[0].budgt: no such member; a medium may have budget, frames and sound");
  EXPECT_EQ(fault(R"({"parts":[{"image":"a","budget":71}]})"),
            "parts[0]: the budget is 71, expected one of 70, 140, 280, 560, 1120");
  EXPECT_EQ(fault(R"({"parts":[{"video":"a","frames":0}]})"),
            "parts[0].frames: expected a whole number of at least 1");
  EXPECT_EQ(fault(R"({"parts":[{"image":"a","frames":2}]})"), "parts[0]: only a video has frames");
  EXPECT_EQ(fault(R"({"parts":[{"audio":"a","budget":70}]})"), "parts[0]: sound has no budget");
  EXPECT_EQ(fault(R"({"parts":[{"audio":"a","sound":true}]})"),
            "parts[0]: only a video has a sound track to add");
  EXPECT_EQ(fault(R"({"parts":[{"image":""}]})"), "parts[0]: expected the path of a file");
  EXPECT_EQ(fault(R"({"parts":[{"image":"https://example.org/a.png"}]})"),
            "parts[0]: only files are read; expected a path, relative to the request file");
}

TEST(RequestTest, AFileIsNamed) {
  const auto missing = read_request("/no/such/request.json");
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().message.find("/no/such/request.json"), std::string::npos);
}

}  // namespace
}  // namespace preflight::run
