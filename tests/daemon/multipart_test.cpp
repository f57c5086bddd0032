#include "daemon/multipart.h"

#include <cstddef>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace preflight::daemon {
namespace {

struct Part {
  PartHeader header;
  std::string data;
  bool ended = false;
};

class Collector final : public PartHandler {
 public:
  Result<void> begin_part(const PartHeader& header) override {
    parts.push_back({header, {}, false});
    return {};
  }
  Result<void> part_data(std::string_view bytes) override {
    parts.back().data += bytes;
    return {};
  }
  Result<void> end_part() override {
    parts.back().ended = true;
    return {};
  }
  std::vector<Part> parts;
};

// What a delimiter search is most easily wrong about: its own beginnings inside the data.
const std::string kTricky = "\r\n--bo\r\n--\r\r\n--boundar\r\r\n\n--boundary x\r\n-";

std::string example() {
  return "--boundary\r\n"
         "Content-Disposition: form-data; name=\"bundle\"\r\n\r\n"
         "{\"id\":\"a\"}\r\n"
         "--boundary\r\n"
         "content-disposition: form-data; name=\"file\"; filename=\"v07/a \\\"b\\\" "
         "%22c%22.bin\"\r\n"
         "Content-Type: application/octet-stream\r\n\r\n" +
         kTricky +
         "\r\n--boundary \t\r\n"
         "Content-Disposition: form-data; name=file; filename=empty\r\n\r\n"
         "\r\n--boundary--\r\n";
}

void expect_example(const Collector& got) {
  ASSERT_EQ(got.parts.size(), 3u);
  EXPECT_EQ(got.parts[0].header.name, "bundle");
  EXPECT_FALSE(got.parts[0].header.has_filename);
  EXPECT_EQ(got.parts[0].data, "{\"id\":\"a\"}");
  EXPECT_EQ(got.parts[1].header.filename, "v07/a \"b\" \"c\".bin");
  EXPECT_EQ(got.parts[1].data, kTricky);
  EXPECT_EQ(got.parts[2].header.filename, "empty");
  EXPECT_EQ(got.parts[2].data, "");
  for (const Part& part : got.parts) EXPECT_TRUE(part.ended);
}

TEST(Multipart, IsTheSameHoweverTheBytesAreCutInTwo) {
  const std::string body = example();
  for (std::size_t cut = 0; cut <= body.size(); ++cut) {
    SCOPED_TRACE(cut);
    Collector got;
    MultipartParser parser("boundary", got);
    ASSERT_TRUE(parser.feed(std::string_view(body).substr(0, cut)));
    // The last line break may be absent.
    EXPECT_EQ(parser.finish().has_value(), cut >= body.size() - 2);
    ASSERT_TRUE(parser.feed(std::string_view(body).substr(cut)));
    ASSERT_TRUE(parser.finish());
    expect_example(got);
  }
}

TEST(Multipart, IsTheSameInPiecesOfAnySize) {
  const std::string body = example();
  for (std::size_t size = 1; size < 40; ++size) {
    Collector got;
    MultipartParser parser("boundary", got);
    for (std::size_t at = 0; at < body.size(); at += size)
      ASSERT_TRUE(parser.feed(std::string_view(body).substr(at, size)));
    ASSERT_TRUE(parser.finish());
    expect_example(got);
  }
}

TEST(Multipart, EveryBodyThatEndsEarlyIsRefused) {
  const std::string body = example();
  const std::size_t whole = body.size() - 2;
  for (std::size_t size = 0; size < whole; ++size) {
    Collector got;
    MultipartParser parser("boundary", got);
    ASSERT_TRUE(parser.feed(std::string_view(body).substr(0, size)));
    EXPECT_FALSE(parser.finish()) << size;
  }
}

TEST(Multipart, RefusesMalformedBodiesWithOneSentence) {
  const std::string head = "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n";
  const std::string cases[] = {
      "preamble\r\n--b\r\n",
      "--x\r\n",
      "--bb\r\n",
      "--b--\r\nepilogue",
      "--b--x",
      "--b\n",
      "--b\r\n\r\ndata\r\n--b--",
      "--b\r\nContent-Type: text/plain\r\n\r\n",
      "--b\r\nno colon\r\n\r\n",
      "--b\r\n: x\r\n\r\n",
      "--b\r\nContent-Disposition: attachment; name=\"file\"\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; name=\"file\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; name\r\n\r\n",
      "--b\r\nContent-Disposition: form-data name=x\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; filename=a; filename=b\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; filename*=UTF-8''a\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n\r\n",
      "--b\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data\r\n\r\n",
      "--b\r\n" + std::string(5000, 'h') + ": x\r\n\r\n",
      "--b" + std::string(100, ' ') + "\r\n",
      head + "data\r\n--bx",
      head + "data\r\n--b-x",
  };
  for (const std::string& body : cases) {
    Collector got;
    MultipartParser parser("b", got);
    const Result<void> result = parser.feed(body);
    ASSERT_FALSE(result) << body;
    EXPECT_EQ(result.error().code, ErrorCode::kInvalidInput);
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
  }
}

TEST(Multipart, ReadsTheBoundaryOfAContentType) {
  EXPECT_EQ(*MultipartParser::boundary("multipart/form-data; boundary=abc"), "abc");
  EXPECT_EQ(*MultipartParser::boundary("Multipart/Form-Data;charset=utf-8 ; Boundary=\"a b:c\""),
            "a b:c");
  for (const std::string& wrong :
       {std::string("application/json"), std::string("multipart/form-data"),
        std::string("multipart/form-data; boundary="),
        std::string("multipart/form-data; boundary=\"a\r\nb\""),
        "multipart/form-data; boundary=" + std::string(71, 'a'), std::string()})
    EXPECT_FALSE(MultipartParser::boundary(wrong)) << wrong;
}

class Refuser final : public PartHandler {
 public:
  Result<void> begin_part(const PartHeader&) override { return {}; }
  Result<void> part_data(std::string_view) override {
    return fail(ErrorCode::kLimit, "that is enough");
  }
  Result<void> end_part() override { return {}; }
};

TEST(Multipart, PassesTheHandlersErrorOn) {
  Refuser refuser;
  MultipartParser parser("boundary", refuser);
  const Result<void> result = parser.feed(example());
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().message, "that is enough");
}

}  // namespace
}  // namespace preflight::daemon
