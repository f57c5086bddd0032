#include "engine/text/tokenizer_json.h"

#include <nlohmann/json.hpp>

#include "tests/text/golden_tokenizer.h"

namespace preflight::text {
namespace {

using Json = nlohmann::json;

Json golden_file() {
  return Json::parse(read_test_file("golden/models/tiny/tokenizer.json"), nullptr, false);
}

std::string message(const Json& file) {
  auto data = read_tokenizer_json(file.dump());
  return data.has_value() ? "accepted" : data.error().message;
}

TEST(TokenizerJsonTest, ReadsTheGoldenFile) {
  auto data = read_tokenizer_json(golden_file().dump());
  ASSERT_TRUE(data.has_value()) << data.error().message;
  EXPECT_EQ(data->tokens.size(), 1056U);
  EXPECT_EQ(data->merges.size(), 723U);
  EXPECT_EQ(data->tokens[3], "<bos>");
  EXPECT_EQ(data->kinds[3], TokenKind::kSpecial);
  EXPECT_EQ(std::count(data->kinds.begin(), data->kinds.end(), TokenKind::kSpecial), 24);
  EXPECT_EQ(std::count(data->kinds.begin(), data->kinds.end(), TokenKind::kByte), 256);
}

TEST(TokenizerJsonTest, MergesMayBeLines) {
  Json file = golden_file();
  const auto pairs = read_tokenizer_json(file.dump());
  for (Json& merge : file["model"]["merges"]) {
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  const auto lines = read_tokenizer_json(file.dump());
  ASSERT_TRUE(lines.has_value()) << lines.error().message;
  EXPECT_EQ(lines->merges, pairs->merges);
}

TEST(TokenizerJsonTest, AnAddedTokenMayStandOutsideTheVocabulary) {
  Json file = golden_file();
  file["added_tokens"].push_back({{"id", 1056}, {"content", "<|late|>"}});
  auto data = read_tokenizer_json(file.dump());
  ASSERT_TRUE(data.has_value()) << data.error().message;
  EXPECT_EQ(data->tokens.at(1056), "<|late|>");
  EXPECT_EQ(data->kinds.at(1056), TokenKind::kSpecial);
}

TEST(TokenizerJsonTest, RefusesOtherMethodsByName) {
  const auto with = [](const char* pointer, Json value) {
    Json file = golden_file();
    file[Json::json_pointer(pointer)] = std::move(value);
    return message(file);
  };
  EXPECT_EQ(with("/model/type", "Unigram"),
            "tokenizer.json: model.type is 'Unigram', expected 'BPE'");
  EXPECT_EQ(with("/model/byte_fallback", false),
            "tokenizer.json: model.byte_fallback is false, expected true");
  EXPECT_EQ(with("/model/dropout", 0.1), "tokenizer.json: model.dropout is '0.1', expected null");
  EXPECT_EQ(with("/normalizer", {{"type", "NFC"}}),
            "tokenizer.json: normalizer is of the type 'NFC', expected one Replace of a space by "
            "U+2581");
  EXPECT_EQ(with("/added_tokens/2/lstrip", true),
            "tokenizer.json: added_tokens[2].lstrip is true, expected false");
  EXPECT_EQ(with("/pre_tokenizer/type", "ByteLevel").substr(0, 33),
            "tokenizer.json: pre_tokenizer is ");
}

TEST(TokenizerJsonTest, RefusesMalformedListsByName) {
  EXPECT_EQ(read_tokenizer_json("{\"model\":").error().message,
            "tokenizer.json is not valid JSON at byte 10");
  EXPECT_EQ(message(Json::array()), "tokenizer.json: the file is not a JSON object");

  Json file = golden_file();
  file["model"]["merges"][4] = Json::array({"a"});
  EXPECT_EQ(message(file),
            "tokenizer.json: model.merges[4] is neither a pair of strings nor \"left right\"");
  file = golden_file();
  file["model"]["vocab"]["a"] = "x";
  EXPECT_EQ(message(file), "tokenizer.json: model.vocab: the id of 'a' is not a whole number");
  file = golden_file();
  file["model"]["vocab"]["a"] = Json::array({1, 2});
  EXPECT_NE(message(file), "accepted");
  file = golden_file();
  file["model"]["vocab"]["a"] = 18446744073709551615ULL;
  EXPECT_NE(message(file), "accepted");
  file = golden_file();
  file["added_tokens"][0]["content"] = "<other>";
  EXPECT_EQ(message(file),
            "tokenizer.json: id 0 is '<mask>' in model.vocab but '<other>' in added_tokens");
  file = golden_file();
  file["model"].erase("vocab");
  EXPECT_EQ(message(file), "tokenizer.json: model.vocab is missing or empty");
}

}  // namespace
}  // namespace preflight::text
