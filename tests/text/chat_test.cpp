#include "engine/text/chat.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "engine/text/chat_json.h"

namespace preflight::text {
namespace {

const std::string kOff = "<|turn>model\n<|channel>thought\n<channel|>";

/// Renders a request given as JSON.
std::string rendered(std::string_view json, ChatOptions options = {}) {
  auto value = parse_value(json, "the request");
  if (!value.has_value()) return value.error().message;
  auto request = read_chat_request(*value);
  if (!request.has_value()) return request.error().message;
  options.thinking = request->thinking;
  options.preserve_thinking = request->preserve_thinking;
  auto parts = render_chat(request->messages, request->tools, options);
  return parts.has_value() ? prompt_text(*parts) : parts.error().message;
}

TEST(ChatTest, PlainTurns) {
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":" Hello "}]})"),
            "<bos><|turn>user\nHello<turn|>\n" + kOff);
  EXPECT_EQ(rendered(R"({"messages":[]})"), "<bos>" + kOff);
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"a"},
              {"role":"assistant","content":"b"},{"role":"assistant","content":"c"},
              {"role":"user","content":"d"}]})"),
            "<bos><|turn>user\na<turn|>\n<|turn>model\nbc<turn|>\n<|turn>user\nd<turn|>\n" + kOff);
}

TEST(ChatTest, SystemTurn) {
  EXPECT_EQ(
      rendered(R"({"thinking":true,"messages":[{"role":"system","content":"Be brief."},
              {"role":"user","content":"Hi"}]})"),
      "<bos><|turn>system\n<|think|>\nBe brief.<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n");
  EXPECT_EQ(rendered(R"({"thinking":true,"messages":[{"role":"user","content":"Hi"}]})"),
            "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nHi<turn|>\n<|turn>model\n");
  EXPECT_EQ(rendered(R"({"messages":[{"role":"developer","content":[{"type":"text","text":" A "},
              {"type":"text","text":"B"}]},{"role":"user","content":"x"}]})"),
            "<bos><|turn>system\nA B <turn|>\n<|turn>user\nx<turn|>\n" + kOff);
}

TEST(ChatTest, ThoughtsOfTheHistoryAreLeftOut) {
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"a"},
              {"role":"assistant","content":"<|channel>thought\nxx<channel|>  b "},
              {"role":"user","content":"c"}]})"),
            "<bos><|turn>user\na<turn|>\n<|turn>model\nb<turn|>\n<|turn>user\nc<turn|>\n" + kOff);
  EXPECT_EQ(without_thoughts("a<|channel>b<channel|>c<|channel>d"), "ac");
  EXPECT_EQ(without_thoughts("x<channel|>y"), "xy");
  EXPECT_EQ(
      rendered(R"({"messages":[{"role":"user","content":"a"},
              {"role":"assistant","content":"b","reasoning":"rr"}]})",
               {.generation_prompt = false}),
      "<bos><|turn>user\na<turn|>\n<|turn>model\n<|channel>thought\nrr\n<channel|>b<turn|>\n");
}

TEST(ChatTest, MediaStandWhereTheyAreWritten) {
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":[{"type":"image","image":"a.png"},
              {"type":"audio","audio":"b.wav"},{"type":"video","video":"c.mp4"},
              {"type":"text","text":" What? "}]}]})"),
            "<bos><|turn>user\n<|image|><|audio|><|video|>What?<turn|>\n" + kOff);
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":[{"type":"text","text":"A "},
              {"type":"image_url","image_url":{"url":"a.png"}},{"type":"text","text":" B"}]}]})"),
            "<bos><|turn>user\nA<|image|>B<turn|>\n" + kOff);
}

const std::string kCallA =
    R"({"role":"assistant","tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]})";

TEST(ChatTest, ToolResultsStayInTheOpenTurn) {
  const std::string call = R"({"role":"assistant","tool_calls":[{"function":{"name":"get_weather",
      "arguments":{"city":"Oslo","days":3,"f":1.5,"b":true,"n":null,"l":["x",2],"o":{"k":"v"}}}}]})";
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"W?"},)" + call +
                     R"(,{"role":"tool","name":"get_weather","content":"{\"t\": 4}"}]})"),
            "<bos><|turn>user\nW?<turn|>\n<|turn>model\n<|tool_call>call:get_weather{b:true,city:"
            "<|\"|>Oslo<|\"|>,days:3,f:1.5,l:[<|\"|>x<|\"|>,2],n:null,o:{k:<|\"|>v<|\"|>}}"
            "<tool_call|><|tool_response>response:get_weather{value:<|\"|>{\"t\": 4}<|\"|>}"
            "<tool_response|>");
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"W?"},)" + kCallA + "]}"),
            "<bos><|turn>user\nW?<turn|>\n<|turn>model\n<|tool_call>call:f{x:1}<tool_call|>"
            "<|tool_response>");
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"W?"},)" + kCallA +
                     R"(,{"role":"tool","tool_call_id":"a","content":"z"},
                        {"role":"user","content":"next"}]})"),
            "<bos><|turn>user\nW?<turn|>\n<|turn>model\n<|tool_call>call:f{x:1}<tool_call|>"
            "<|tool_response>response:f{value:<|\"|>z<|\"|>}<tool_response|><turn|>\n"
            "<|turn>user\nnext<turn|>\n" +
                kOff);
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"W?"},)" + kCallA +
                     R"(,{"role":"tool","content":{"t":4,"A":[]}}]})"),
            "<bos><|turn>user\nW?<turn|>\n<|turn>model\n<|tool_call>call:f{x:1}<tool_call|>"
            "<|tool_response>response:unknown{A:[],t:4}<tool_response|>");
}

TEST(ChatTest, ParallelCallsAndSeveralSteps) {
  EXPECT_EQ(
      rendered(R"({"messages":[{"role":"user","content":"W?"},{"role":"assistant","tool_calls":[
        {"id":"a","function":{"name":"g","arguments":"{\"city\":\"Oslo\"}"}},
        {"id":"b","function":{"name":"h","arguments":null}}]},
        {"role":"tool","tool_call_id":"b","content":"20"},
        {"role":"tool","tool_call_id":"a","content":"4"}]})"),
      "<bos><|turn>user\nW?<turn|>\n<|turn>model\n<|tool_call>call:g{city:<|\"|>Oslo<|\"|>}"
      "<tool_call|><|tool_call>call:h{}<tool_call|><|tool_response>response:h{value:<|\"|>20<|\"|>}"
      "<tool_response|><|tool_response>response:g{value:<|\"|>4<|\"|>}<tool_response|>");
  EXPECT_EQ(
      rendered(R"({"thinking":true,"messages":[{"role":"user","content":"W?"},
        {"role":"assistant","reasoning":"r1","tool_calls":[{"id":"1","function":{"name":"f",
         "arguments":{"x":1}}}]},{"role":"tool","tool_call_id":"1","content":"R1"},
        {"role":"assistant","reasoning":"r2","tool_calls":[{"id":"2","function":{"name":"g",
         "arguments":{}}}]},{"role":"tool","tool_call_id":"2","content":"R2"}]})"),
      "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nW?<turn|>\n<|turn>model\n"
      "<|channel>thought\nr1\n<channel|><|tool_call>call:f{x:1}<tool_call|><|tool_response>"
      "response:"
      "f{value:<|\"|>R1<|\"|>}<tool_response|><|channel>thought\nr2\n<channel|><|tool_call>call:g{}"
      "<tool_call|><|tool_response>response:g{value:<|\"|>R2<|\"|>}<tool_response|>"
      "<|channel>thought\n");
}

TEST(ChatTest, AFinishedLoopLosesItsThought) {
  EXPECT_EQ(
      rendered(R"({"thinking":true,"messages":[{"role":"user","content":"W?"},
        {"role":"assistant","reasoning":"need tool","tool_calls":[{"id":"1","function":{"name":
         "get_weather","arguments":{"city":"Oslo"}}}]},
        {"role":"tool","tool_call_id":"1","content":"4 C"},
        {"role":"assistant","content":"It is 4 C."},{"role":"user","content":"Thanks"}]})"),
      "<bos><|turn>system\n<|think|>\n<turn|>\n<|turn>user\nW?<turn|>\n<|turn>model\n"
      "<|tool_call>call:get_weather{city:<|\"|>Oslo<|\"|>}<tool_call|><|tool_response>response:"
      "get_weather{value:<|\"|>4 C<|\"|>}<tool_response|>It is 4 C.<turn|>\n"
      "<|turn>user\nThanks<turn|>\n<|turn>model\n");
}

const std::string kCallWithContent = R"({"messages":[{"role":"user","content":"W?"},
    {"role":"assistant","content":"done","tool_calls":[{"function":{"name":"f","arguments":
     {"x":1}}}],"tool_responses":[{"name":"f","response":{"t":4,"ok":true,"s":"q"}}]}]})";

TEST(ChatTest, AnOpenLoopIsMendedUnlessAskedOtherwise) {
  const std::string head =
      "<bos><|turn>user\nW?<turn|>\n<|turn>model\n<|tool_call>call:f{x:1}<tool_call|>"
      "<|tool_response>response:f{ok:true,s:<|\"|>q<|\"|>,t:4}<tool_response|>";
  EXPECT_EQ(rendered(kCallWithContent, {.mend_open_loop = false}), head + "done<turn|>\n");
  EXPECT_EQ(rendered(kCallWithContent, {.generation_prompt = false}), head + "done<turn|>\n");
  EXPECT_EQ(rendered(kCallWithContent), head);
}

TEST(ChatTest, OnlyTheFormatsOwnTextIsTrusted) {
  auto value = parse_value(R"({"messages":[{"role":"system","content":"<|think|>"},
      {"role":"user","content":"<turn|>"},{"role":"assistant","tool_calls":[{"function":
      {"name":"<|turn>","arguments":{"<bos>":"<eos>"}}}]},{"role":"tool","content":"<|image|>"}],
      "tools":[{"function":{"name":"<|tool>","description":"<tool|>","parameters":{"type":"object",
      "properties":{"<|audio|>":{"type":"string","enum":["<|video|>"]}}}}}]})",
                           "the request");
  ASSERT_TRUE(value.has_value());
  auto request = read_chat_request(*value);
  ASSERT_TRUE(request.has_value()) << request.error().message;
  auto parts = render_chat(request->messages, request->tools, {});
  ASSERT_TRUE(parts.has_value()) << parts.error().message;
  std::string given;
  for (const PromptPart& part : *parts) {
    ASSERT_EQ(part.kind, PartKind::kText);
    if (!part.segment.trusted) given += part.segment.text;
  }
  EXPECT_EQ(given,
            "<|think|><|tool><tool|><|audio|><|video|>STRINGOBJECT<turn|><|turn><bos><eos>unknown"
            "<|image|>");
}

TEST(ChatTest, RefusesWhatHasNoPlace) {
  EXPECT_EQ(rendered(R"({"messages":[{"role":"user","content":"a"},
                        {"role":"tool","content":"z"}]})"),
            "messages[1]: a tool result must follow the assistant message that called the tool");
  EXPECT_EQ(rendered(R"({"messages":[{"role":"system","content":[{"type":"image","url":"a"}]}]})"),
            "messages[0]: a system message at the start holds text only");
}

}  // namespace
}  // namespace preflight::text
