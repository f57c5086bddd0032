#include "engine/text/chat_tools.h"

#include <regex>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace preflight::text {
namespace {

std::string declared(std::string_view json) {
  auto tool = parse_value(json, "the tool");
  if (!tool.has_value()) return tool.error().message;
  auto normal = normalize_tool(*tool, "tools[0]");
  if (!normal.has_value()) return normal.error().message;
  PromptWriter out;
  write_declaration(out, *normal);
  const std::string text = prompt_text(out.take());
  return std::regex_replace(text, std::regex(R"(<\|"\|>)"), "'");  // so that values can be read
}

std::string with_parameters(const std::string& parameters) {
  return declared(fmt::format(R"({{"function":{{"name":"f","description":"d","parameters":{}}}}})",
                              parameters));
}

TEST(ChatToolsTest, FieldsInTheFormatsOrder) {
  EXPECT_EQ(
      declared(R"({"type":"function","function":{"name":"get_weather","description":"Get weather",
        "parameters":{"type":"object","required":["city"],"properties":{"unit":{"type":"string",
        "enum":["c","f"]},"city":{"type":"string","description":"City name"},
        "days":{"type":"integer","nullable":true}}}}})"),
      "declaration:get_weather{description:'Get weather',parameters:{properties:{city:{description:"
      "'City name',type:'STRING'},days:{nullable:true,type:'INTEGER'},unit:{enum:['c','f'],type:"
      "'STRING'}},required:['city'],type:'OBJECT'}}");
  EXPECT_EQ(
      declared(R"({"function":{"name":"now","parameters":{"type":"object","properties":{}}}})"),
      "declaration:now{description:'',parameters:{type:'OBJECT'}}");
  EXPECT_EQ(declared(R"({"function":{"name":"now","response":{"type":"object",
                        "description":"r"}}})"),
            "declaration:now{description:'',response:{description:'r',type:'OBJECT'}}");
}

TEST(ChatToolsTest, NestedSchemas) {
  EXPECT_EQ(
      with_parameters(R"({"type":"object","properties":{
        "o":{"type":"object","description":"obj","properties":{"q":{"type":"number"}},
             "required":["q"]},
        "a":{"type":"array","description":"arr","items":{"type":"string","enum":["p"]}},
        "e":{"type":"integer"}}})"),
      "declaration:f{description:'d',parameters:{properties:{a:{description:'arr',items:{enum:"
      "['p'],type:'STRING'},type:'ARRAY'},e:{type:'INTEGER'},o:{description:'obj',properties:"
      "{q:{type:'NUMBER'}},required:['q'],type:'OBJECT'}},type:'OBJECT'}}");
  EXPECT_EQ(with_parameters(R"({"type":"object","properties":{"l":{"type":"array","items":
        {"type":"object","properties":{"k":{"type":"string"}},"required":["k"],"x":{"y":1}}}}})"),
            "declaration:f{description:'d',parameters:{properties:{l:{items:{properties:{k:{type:"
            "'STRING'}},required:['k'],type:'OBJECT',x:{'y':1}},type:'ARRAY'}},type:'OBJECT'}}");
}

TEST(ChatToolsTest, WhatTheFormatCannotSay) {
  const auto field = [](const std::string& schema) {
    const std::string all = with_parameters(fmt::format(R"({{"properties":{{"p":{}}}}})", schema));
    const std::string head = "declaration:f{description:'d',parameters:{properties:{p:";
    const std::string tail = "},type:'OBJECT'}}";
    EXPECT_TRUE(all.starts_with(head) && all.ends_with(tail)) << all;
    return all.substr(head.size(), all.size() - head.size() - tail.size());
  };
  EXPECT_EQ(field(R"({"type":"integer","enum":[1],"minimum":0,"default":1})"), "{type:'INTEGER'}");
  EXPECT_EQ(field(R"({"type":["string","null"]})"), "{nullable:true,type:'STRING'}");
  EXPECT_EQ(field(R"({"type":["string","integer"]})"), "{type:'['STRING', 'INTEGER']'}");
  EXPECT_EQ(field(R"({"anyOf":[]})"), "{type:''}");
  EXPECT_EQ(field("true"), "{type:''}");
  EXPECT_EQ(field(R"({"type":"object","additionalProperties":false})"),
            "{properties:{additionalProperties:{type:''}},type:'OBJECT'}");
}

TEST(ChatToolsTest, ReferencesAreReplaced) {
  EXPECT_EQ(
      with_parameters(R"({"$defs":{"c":{"type":"string"}},"properties":{
              "a":{"$ref":"#/$defs/c","description":"x"},
              "b":{"type":"array","items":{"$ref":"#/$defs/c"}}}})"),
      "declaration:f{description:'d',parameters:{properties:{a:{description:'x',type:'STRING'}"
      ",b:{items:{type:'STRING'},type:'ARRAY'}},type:'OBJECT'}}");
  EXPECT_EQ(with_parameters(R"({"$defs":{"n":{"properties":{"m":{"$ref":"#/$defs/n"}}}},
              "properties":{"a":{"$ref":"#/$defs/n"}}})"),
            "tools[0]: the $ref '#/$defs/n' leads back to itself");
  EXPECT_EQ(with_parameters(R"({"properties":{"a":{"$ref":"http://example.org/x"}}})"),
            "tools[0]: the $ref 'http://example.org/x' names no schema inside the parameters");
}

TEST(ChatToolsTest, RefusesToolsWithoutShape) {
  const std::string expected =
      R"(tools[0]: expected {"type": "function", "function": {"name": ...}})";
  EXPECT_EQ(declared("{}"), expected);
  EXPECT_EQ(declared("3"), expected);
  EXPECT_EQ(with_parameters("[1]"), "tools[0].function.parameters is a list, expected an object");
}

}  // namespace
}  // namespace preflight::text
