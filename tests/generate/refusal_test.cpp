#include <cmath>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/generate/test_support.h"

namespace preflight::generate {
namespace {

struct Refusal {
  const char* schema;
  ErrorCode code;
  const char* begins;    ///< how the message begins: the place
  const char* mentions;  ///< what else it says
};

class RefusalTest : public testing::TestWithParam<Refusal> {};

TEST_P(RefusalTest, NamesThePlaceAndTheReason) {
  const Refusal& refusal = GetParam();
  const auto schema = Schema::compile(refusal.schema, tiny_vocabulary(), ConstraintLimits{});
  ASSERT_FALSE(schema) << refusal.schema;
  EXPECT_EQ(schema.error().code, refusal.code) << schema.error().message;
  EXPECT_EQ(schema.error().message.rfind(refusal.begins, 0), 0u) << schema.error().message;
  EXPECT_NE(schema.error().message.find(refusal.mentions), std::string::npos)
      << schema.error().message;
}

constexpr ErrorCode kInvalid = ErrorCode::kInvalidInput;
constexpr ErrorCode kOutside = ErrorCode::kUnsupported;

constexpr Refusal kRefusals[] = {
    {"", kInvalid, "schema:", "not JSON"},
    {"{", kInvalid, "schema:", "not JSON"},
    {R"({"type":"null","type":"string"})", kInvalid, "schema:", "\"type\" stands twice"},
    {"true", kOutside, "schema:", "expected an object"},
    {"[]", kOutside, "schema:", "expected an object"},
    {"{}", kOutside, "schema:", "needs \"type\""},
    {R"({"anyOf":[{"type":"null"}]})", kOutside, "schema /anyOf:", "instead of"},
    {R"({"$ref":"#/x"})", kOutside, "schema /$ref:", "instead of"},
    {R"({"type":["string","null"]})", kOutside, "schema /type:", "expected one of"},
    {R"({"type":"text"})", kOutside, "schema /type:", "\"text\""},
    {R"({"type":"string","pattern":"a+"})", kOutside, "schema /pattern:", "not supported"},
    {R"({"type":"string","format":"date"})", kOutside, "schema /format:", "not supported"},
    {R"({"type":"string","maxLength":-1})", kInvalid, "schema /maxLength:", "-1"},
    {R"({"type":"string","maxLength":2.5})", kInvalid, "schema /maxLength:", "2.5"},
    {R"({"type":"string","maxLength":99999999999999999999})", kInvalid,
     "schema /maxLength:", "expected"},
    {R"({"type":"string","minLength":5,"maxLength":4})", kInvalid, "schema:", "minLength"},
    {R"({"type":"string","minLength":300})", kInvalid, "schema:", "where none is given"},
    {R"({"type":"array","maxItems":2})", kOutside, "schema:", "needs \"items\""},
    {R"({"type":"array","items":{"type":"null"},"uniqueItems":true})", kOutside,
     "schema /uniqueItems:", "not supported"},
    {R"({"type":"array","items":[{"type":"null"}]})", kOutside, "schema /items:", "an array"},
    {R"({"type":"array","items":{"type":"null"},"maxItems":70000})", kInvalid,
     "schema /maxItems:", "65535"},
    {R"({"type":"object","properties":{"a/b":{"type":"object","properties":{"~":{}}}}})", kOutside,
     "schema /properties/a~1b/properties/~0:", "needs \"type\""},
    {R"({"type":"object","properties":[]})", kInvalid, "schema /properties:", "expected"},
    {R"({"type":"object","properties":{},"required":["a"]})", kInvalid,
     "schema /required/0:", "\"a\""},
    {R"({"type":"object","properties":{},"required":"a"})", kInvalid,
     "schema /required:", "array of keys"},
    {R"({"type":"object","patternProperties":{}})", kOutside,
     "schema /patternProperties:", "not supported"},
    {R"({"type":"object","additionalProperties":{"type":"null"}})", kOutside,
     "schema /additionalProperties:", "true or false"},
    {R"({"enum":[]})", kInvalid, "schema /enum:", "1 to 4096"},
    {R"({"enum":"a"})", kInvalid, "schema /enum:", "1 to 4096"},
    {R"({"enum":["a",{"b":1}]})", kOutside, "schema /enum/1:", "an object"},
    {R"({"enum":["a","b","a"]})", kInvalid, "schema /enum:", "\"a\" twice"},
    {R"({"type":"string","enum":["a",1]})", kInvalid, "schema /enum/1:", "not of the type"},
    {R"({"enum":["a"],"minLength":1})", kOutside, "schema /minLength:", "not supported"},
    {R"({"const":[1]})", kOutside, "schema /const:", "an array"},
    {R"({"type":"integer","minimum":5,"maximum":4})", kInvalid, "schema:", "no integer"},
    {R"({"type":"integer","minimum":0.1,"maximum":0.9})", kInvalid, "schema:", "no integer"},
    {R"({"type":"integer","exclusiveMinimum":1,"exclusiveMaximum":2})", kInvalid,
     "schema:", "no integer"},
    {R"({"type":"integer","maximum":1e300})", kOutside, "schema:", "9007199254740991"},
    {R"({"type":"integer","minimum":"1"})", kInvalid, "schema /minimum:", "string"},
    {R"({"type":"integer","multipleOf":5})", kOutside, "schema /multipleOf:", "expected 1"},
    {R"({"type":"number","multipleOf":0.25})", kOutside, "schema /multipleOf:", "power of ten"},
    {R"({"type":"number","multipleOf":0.000000001,"maximum":10000000})", kOutside,
     "schema:", "15 digits"},
    {R"({"type":"boolean","enum":[1]})", kInvalid, "schema /enum/0:", "not of the type"},
    {R"({"type":"null","minimum":1})", kOutside, "schema /minimum:", "not supported"},
};

INSTANTIATE_TEST_SUITE_P(Schemas, RefusalTest, testing::ValuesIn(kRefusals));

TEST(Refusal, NestingHasALimit) {
  std::string arrays = R"({"type":"null"})";
  std::string objects = arrays;
  for (int i = 0; i < 8; ++i) arrays = R"({"type":"array","maxItems":1,"items":)" + arrays + "}";
  EXPECT_TRUE(Schema::compile(arrays, tiny_vocabulary(), {}));
  arrays = R"({"type":"array","maxItems":1,"items":)" + arrays + "}";
  const auto too_deep = Schema::compile(arrays, tiny_vocabulary(), {});
  ASSERT_FALSE(too_deep);
  EXPECT_EQ(too_deep.error().message,
            "schema /items/items/items/items/items/items/items/items: arrays are nested deeper "
            "than 8 levels");
  for (int i = 0; i < 32; ++i) objects = R"({"type":"object","properties":{"a":)" + objects + "}}";
  EXPECT_TRUE(Schema::compile(objects, tiny_vocabulary(), {}));
  objects = R"({"type":"object","properties":{"a":)" + objects + "}}";
  EXPECT_FALSE(Schema::compile(objects, tiny_vocabulary(), {}));

  // Depth that is no schema at all must not exhaust the stack either.
  for (const char* head : {"", R"({"type":)", R"({"enum":)", R"({"const":)", R"({"default":)"}) {
    const std::string deep =
        head + std::string(400'000, '[') + std::string(400'000, ']') + (*head != 0 ? "}" : "");
    EXPECT_FALSE(Schema::compile(deep, tiny_vocabulary(), {})) << head;
  }
}

TEST(Refusal, TheLongestAnswerMustFit) {
  const char* schema =
      R"({"type":"object","properties":{"a":{"type":"boolean"},
          "list":{"type":"array","maxItems":10,"items":{"type":"string","maxLength":20}}}})";
  ConstraintLimits limits;
  const auto fits = Schema::compile(schema, tiny_vocabulary(), limits);
  ASSERT_TRUE(fits) << fits.error().message;
  // {"a":false,"list":[ then ten times a quote, 20 tokens, a quote and a comma or bracket, then }.
  EXPECT_EQ(fits->longest_answer_tokens(), 5u + 5 + 8 + 1 + 10 * 23 + 1);
  EXPECT_EQ(fits->longest_answer_chars(), 5u + 5 + 8 + 1 + 10 * 43 + 1);

  limits.max_tokens = fits->longest_answer_tokens();
  limits.max_chars = fits->longest_answer_chars();
  EXPECT_TRUE(Schema::compile(schema, tiny_vocabulary(), limits));
  --limits.max_tokens;
  const auto long_one = Schema::compile(schema, tiny_vocabulary(), limits);
  ASSERT_FALSE(long_one);
  EXPECT_EQ(long_one.error().code, ErrorCode::kLimit);
  EXPECT_EQ(long_one.error().message,
            "schema: the longest answer has 250 tokens, the limit is 249; 210 of its tokens are at "
            "/properties/list/items; lower maxLength or maxItems or raise the limit");
  ++limits.max_tokens;
  --limits.max_chars;
  EXPECT_FALSE(Schema::compile(schema, tiny_vocabulary(), limits));
}

TEST(Refusal, HugeSchemasAreRefused) {
  const auto refused = [](const std::string& schema) {
    return !Schema::compile(schema, tiny_vocabulary(), wide_limits());
  };
  const auto keys = [](int n, std::size_t length, const std::string& value) {
    std::string text = R"({"type":"object","properties":{)";
    for (int i = 0; i < n; ++i) {
      text += fmt::format("{}\"{:0{}}\":{}", i > 0 ? "," : "", i, length, value);
    }
    return text + "}}";
  };
  const std::string boolean = R"({"type":"boolean"})";
  EXPECT_FALSE(refused(keys(1024, 10, boolean)));
  EXPECT_TRUE(refused(keys(1025, 10, boolean)));
  EXPECT_FALSE(refused(keys(2, 256, boolean)));
  EXPECT_TRUE(refused(keys(2, 257, boolean)));
  EXPECT_FALSE(refused(keys(4, 5, keys(1024, 5, boolean))));
  EXPECT_TRUE(refused(keys(5, 5, keys(1024, 5, boolean))));
  EXPECT_TRUE(refused(R"({"const":")" + std::string(1 << 20, 'a') + R"("})"));
}

TEST(Refusal, SizesThatWouldOverflowAreRefused) {
  std::string schema = R"({"type":"string","maxLength":1000000})";
  for (int i = 0; i < 8; ++i) {
    schema = R"({"type":"array","maxItems":65535,"items":)" + schema + "}";
  }
  const auto huge = Schema::compile(schema, tiny_vocabulary(), wide_limits());
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code, ErrorCode::kLimit);
}

TEST(Refusal, DefaultsApplyWhereALengthIsMissing) {
  const text::Tokenizer& tokenizer = tiny_vocabulary()->tokenizer();
  ConstraintLimits limits;
  limits.default_string_chars = 3;
  limits.default_array_items = 2;
  const auto schema =
      Schema::compile(R"({"type":"array","items":{"type":"string"}})", tiny_vocabulary(), limits);
  ASSERT_TRUE(schema);
  EXPECT_TRUE(accepts(*schema, tokenizer, R"(["abc","abc"])"));
  EXPECT_FALSE(accepts(*schema, tokenizer, R"(["abcd"])"));
  EXPECT_FALSE(accepts(*schema, tokenizer, R"(["a","a","a"])"));
}

TEST(Refusal, ParsedSchemasAreCheckedLikeText) {
  nlohmann::ordered_json schema = {{"enum", {"a", "\xFF"}}};
  const auto ill_formed = Schema::compile_parsed(schema, tiny_vocabulary(), ConstraintLimits{});
  ASSERT_FALSE(ill_formed);
  EXPECT_EQ(ill_formed.error().message, "schema /enum/1: is not well-formed UTF-8");
  schema = {{"type", "number"}, {"minimum", HUGE_VAL}};
  EXPECT_FALSE(Schema::compile_parsed(schema, tiny_vocabulary(), ConstraintLimits{}));
}

TEST(Refusal, LimitsOfNumbersAreExact) {
  const text::Tokenizer& tokenizer = tiny_vocabulary()->tokenizer();
  const auto takes = [&](const char* schema, const char* text) {
    return accepts(compile_or_die(schema, tiny_vocabulary()), tokenizer, text);
  };
  const char* tenth = R"({"type":"number","minimum":0.1,"maximum":0.3,"multipleOf":0.1})";
  EXPECT_TRUE(takes(tenth, "0.1"));
  EXPECT_TRUE(takes(tenth, "0.2"));
  EXPECT_TRUE(takes(tenth, "0.3"));
  EXPECT_FALSE(takes(tenth, "0.4"));
  EXPECT_FALSE(takes(tenth, "0"));
  const char* open =
      R"({"type":"number","exclusiveMinimum":0.1,"exclusiveMaximum":0.3,"multipleOf":0.1})";
  EXPECT_FALSE(takes(open, "0.1"));
  EXPECT_TRUE(takes(open, "0.2"));
  EXPECT_FALSE(takes(open, "0.3"));
  // A limit between two steps of the grid goes inwards, on both sides of zero.
  const char* between = R"({"type":"number","minimum":-0.15,"maximum":0.15,"multipleOf":0.1})";
  EXPECT_TRUE(takes(between, "-0.1"));
  EXPECT_FALSE(takes(between, "-0.2"));
  EXPECT_TRUE(takes(between, "0.1"));
  EXPECT_FALSE(takes(between, "0.2"));
  EXPECT_TRUE(takes(between, "0"));
  const char* wide = R"({"type":"integer","minimum":-1e3,"maximum":1.5e1})";
  EXPECT_TRUE(takes(wide, "-1000"));
  EXPECT_FALSE(takes(wide, "-1001"));
  EXPECT_TRUE(takes(wide, "15"));
  EXPECT_FALSE(takes(wide, "16"));
  // A wide range has fewer decimals, so that a value keeps its digits in a double.
  const char* far = R"({"type":"number","minimum":0,"maximum":1000000000000})";
  EXPECT_TRUE(takes(far, "1000000000000"));
  EXPECT_TRUE(takes(far, "0.01"));
  EXPECT_FALSE(takes(far, "0.001"));
}

}  // namespace
}  // namespace preflight::generate
