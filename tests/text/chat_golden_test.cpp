#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "engine/text/chat_json.h"
#include "tests/text/golden_tokenizer.h"

namespace preflight::text {
namespace {

using Json = nlohmann::json;

/// The `ids` of a golden safetensors file.
std::vector<std::int32_t> golden_ids(const std::string& name) {
  const std::string file = read_test_file("golden/cases/" + name + ".safetensors");
  std::uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, file.data(), sizeof header_bytes);
  const Json header = Json::parse(file.substr(8, header_bytes), nullptr, false);
  const auto range = header["ids"]["data_offsets"].get<std::vector<std::size_t>>();
  std::vector<std::int32_t> ids((range[1] - range[0]) / sizeof(std::int32_t));
  std::memcpy(ids.data(), file.data() + 8 + header_bytes + range[0], range[1] - range[0]);
  return ids;
}

/// Runs of one soft token become one, as the prompt has them before the media are known.
std::vector<std::int32_t> without_soft_tokens(std::vector<std::int32_t> ids,
                                              const Tokenizer& tokenizer) {
  for (const auto& [open, soft, close] :
       {std::array{"<|image>", "<|image|>", "<image|>"}, {"<|audio>", "<|audio|>", "<audio|>"}}) {
    const std::int32_t soft_id = tokenizer.find(soft).value();
    std::vector<std::int32_t> kept;
    for (const std::int32_t id : ids) {
      const bool frame = id == tokenizer.find(open).value() || id == tokenizer.find(close).value();
      const bool repeated = id == soft_id && !kept.empty() && kept.back() == soft_id;
      if (!frame && !repeated) kept.push_back(id);
    }
    ids = kept;
  }
  return ids;
}

class GoldenChat : public testing::TestWithParam<const char*> {};

TEST_P(GoldenChat, RendersThePublishedPromptAndIds) {
  const std::string name = GetParam();
  auto json = parse_value(read_test_file("golden/cases/" + name + ".json"), "the request");
  ASSERT_TRUE(json.has_value()) << json.error().message;
  auto request = read_chat_request(*json);
  ASSERT_TRUE(request.has_value()) << request.error().message;
  auto parts = render_chat(request->messages, request->tools, {.thinking = request->thinking});
  ASSERT_TRUE(parts.has_value()) << parts.error().message;

  const Json expected =
      Json::parse(read_test_file("golden/cases/" + name + ".gen.json"), nullptr, false);
  EXPECT_EQ(prompt_text(*parts), expected["prompt"].get<std::string>());

  const Tokenizer tokenizer = golden_tokenizer();
  std::vector<Segment> segments;
  for (const PromptPart& part : *parts) {
    segments.push_back(part.kind == PartKind::kText
                           ? part.segment
                           : Segment{std::string(placeholder(part.kind)), true});
  }
  EXPECT_EQ(tokenizer.encode(segments), without_soft_tokens(golden_ids(name), tokenizer));
}

INSTANTIATE_TEST_SUITE_P(Cases, GoldenChat,
                         testing::Values("chat-plain", "chat-system", "chat-think", "chat-turns",
                                         "chat-tools", "chat-toolresult", "chat-toolthink",
                                         "chat-image", "chat-audio"),
                         [](const auto& each) {
                           std::string name = each.param;
                           std::erase(name, '-');
                           return name;
                         });

}  // namespace
}  // namespace preflight::text
