// qa-client as a user meets it, without a daemon: exit statuses and sentences.
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/client/program.h"

namespace preflight::client {
namespace {

using nlohmann::json;

struct Ended {
  int status;
  std::string out, err;
};

Ended qa_client(std::vector<std::string> arguments) {
  const Folder folder;
  arguments.insert(arguments.begin(), PREFLIGHT_BIN "/qa-client");
  Program program(folder.path(), "client", arguments);
  const int status = program.wait();
  return {status, program.out(), program.err()};
}

const std::string kSample = PREFLIGHT_SOURCE "/share/bundles/sample";

TEST(QaClient, WrongUseIsStatusTwo) {
  EXPECT_EQ(qa_client({}).status, 2);
  EXPECT_EQ(qa_client({"fly"}).status, 2);
  EXPECT_EQ(qa_client({"review", "--fail-on", "everything", kSample}).status, 2);
  EXPECT_EQ(qa_client({"review", "--json", "--csv", kSample}).status, 2);
  EXPECT_EQ(qa_client({"review", "--timeout", "-1", kSample}).status, 2);
  EXPECT_EQ(qa_client({"review", kSample, "--hook", "x"}).status, 2);
  EXPECT_EQ(qa_client({"review"}).status, 2);
  EXPECT_EQ(qa_client({"review", "/nonexistent.mp4", "--placement", "tiktok.infeed"}).status, 2);
  EXPECT_EQ(qa_client({"show", "../health"}).status, 2);
  EXPECT_EQ(qa_client({"--help"}).status, 0);
}

TEST(QaClient, MissingDaemonIsStatusFourWithTheSocketsName) {
  for (const char* command : {"health", "list"}) {
    const Ended ended = qa_client({command, "--socket", "/nonexistent/x.sock"});
    EXPECT_EQ(ended.status, 4);
    EXPECT_EQ(ended.err,
              "qa-client: there is no socket /nonexistent/x.sock; is preflightd running?\n");
  }
  EXPECT_EQ(qa_client({"review", kSample, "--socket", "/nonexistent/x.sock"}).status, 4);
}

TEST(QaClient, SampleBundlePassesTheLint) {
  const Ended ended = qa_client({"lint", kSample});
  EXPECT_EQ(ended.status, 0) << ended.out << ended.err;
  EXPECT_EQ(ended.out, "0 errors, 0 warnings\n");
}

TEST(QaClient, TemplateLacksNothingButItsFiles) {
  const Folder folder;
  const std::string bundle = (folder / "new").string();
  EXPECT_EQ(qa_client({"init", bundle}).status, 0);
  EXPECT_EQ(qa_client({"init", bundle}).status, 2) << "what is there is not written over";
  const Ended ended = qa_client({"lint", bundle, "--json"});
  EXPECT_EQ(ended.status, 2);
  const json problems = json::parse(ended.out, nullptr, false);
  ASSERT_TRUE(problems.is_object()) << ended.out;
  EXPECT_EQ(problems["errors"].size(), 6u) << ended.out;
  for (const json& error : problems["errors"]) EXPECT_EQ(error["code"], "B021") << error.dump();
}

TEST(QaClient, LintNamesEveryProblemByItsPlace) {
  const Folder folder;
  std::ofstream(folder / "bundle.json") << R"({
    "schema": "preflight.bundle/1", "id": "Bad Id", "locale": "en", "product_class": "general",
    "placements": ["tiktok.infed"], "assets": [{"id": "b", "role": "brief", "path": "b.md"}]})";
  const Ended ended = qa_client({"lint", folder.path().string()});
  EXPECT_EQ(ended.status, 2);
  for (const char* part : {"/id: ", "/placements/0: unknown placement \"tiktok.infed\"",
                           "tiktok.infeed?", "/assets/0/path: \"b.md\": file not found"}) {
    EXPECT_NE(ended.out.find(part), std::string::npos) << part << "\n" << ended.out;
  }
  const Ended review = qa_client({"review", folder.path().string()});
  EXPECT_EQ(review.status, 2) << "an invalid bundle is not sent";
  EXPECT_NE(review.err.find("/placements/0"), std::string::npos);
}

TEST(QaClient, MergedBundleHasItsSetsFieldsUnderItsOwn) {
  const Folder folder;
  std::filesystem::create_directory(folder / "v1");
  std::ofstream(folder / "set.json")
      << R"({"id":"set","locale":"de","offer":{"promise":"p","price":"1.00"},"placements":["a","b"]})";
  std::ofstream(folder / "v1" / "bundle.json")
      << R"({"id":"v1","offer":{"price":"2.00"},"placements":["c"]})";
  const Ended ended = qa_client({"lint", "--merged", (folder / "v1").string()});
  EXPECT_EQ(ended.status, 0) << ended.err;
  EXPECT_EQ(json::parse(ended.out, nullptr, false),
            json::parse(R"({"id":"v1","locale":"de","offer":{"promise":"p","price":"2.00"},
                            "placements":["c"]})"));
}

}  // namespace
}  // namespace preflight::client
