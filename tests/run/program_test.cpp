// preflight-run as a person starts it: exit status, standard output, one sentence on stderr.

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace {

struct Outcome {
  int status = -1;
  std::string out;
  std::string err;
};

std::string slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

class ProgramTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = "/tmp/preflight-run-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override {
    for (const char* name : {"/in", "/out", "/err"}) {
      static_cast<void>(unlink((folder_ + name).c_str()));
    }
    static_cast<void>(rmdir(folder_.c_str()));
  }

  Outcome run(const std::string& arguments, const std::string& input = "") {
    std::ofstream(folder_ + "/in", std::ios::binary) << input;
    const std::string line = std::string(PREFLIGHT_BIN "/preflight-run ") + arguments + " <" +
                             folder_ + "/in >" + folder_ + "/out 2>" + folder_ + "/err";
    const int status = std::system(line.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, slurp(folder_ + "/out"),
            slurp(folder_ + "/err")};
  }

  std::string folder_;
};

const std::string kModel = " --model " PREFLIGHT_TEST_DATA "/golden/models/tiny";

TEST_F(ProgramTest, TokenizeAndBack) {
  const std::string text = "Grüße <|turn>user\n  x<turn|>";
  const Outcome ids = run("tokenize" + kModel, text);
  EXPECT_EQ(ids.status, 0) << ids.err;
  EXPECT_EQ(ids.out.front(), '[');
  EXPECT_EQ(ids.out.substr(ids.out.size() - 2), "]\n");
  const Outcome inert = run("tokenize --inert" + kModel, text);
  EXPECT_NE(inert.out, ids.out);
  EXPECT_EQ(run("detokenize" + kModel, ids.out).out, text);
  EXPECT_EQ(run("detokenize" + kModel, inert.out).out, text);
  EXPECT_EQ(run("tokenize" + kModel, "").out, "[]\n");
}

TEST_F(ProgramTest, FailuresAreOneSentence) {
  for (const char* bad : {"", "{}", "[1,", "[1056]", "[-1]", "[\"a\"]"}) {
    const Outcome outcome = run("detokenize" + kModel, bad);
    EXPECT_EQ(outcome.status, 1) << bad;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
  EXPECT_EQ(run("tokenize --model /no/such/model").status, 1);
}

TEST_F(ProgramTest, WrongUsageIsTwo) {
  for (const char* line : {"", "tokenize", "nonsense", "tokenize --model x --unknown"}) {
    const Outcome outcome = run(line);
    EXPECT_EQ(outcome.status, 2) << line;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
  EXPECT_EQ(run("--help").status, 0);
  EXPECT_EQ(run("tokenize --help").status, 0);
}

TEST_F(ProgramTest, NonsenseInSamplingIsNamed) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"--temperature -1", "temperature is -1, expected 0 for the likeliest token, or 0.01 to 100"},
      {"--temperature 0.001", "temperature is 0.001"},
      {"--temperature 101", "temperature is 101"},
      {"--temperature nan", "temperature is nan"},
      {"--temperature 1 --top-p 0", "top-p is 0, expected more than 0 and at most 1"},
      {"--temperature 1 --top-p 1.5", "top-p is 1.5"},
      {"--temperature 1 --min-p -0.1", "min-p is -0.1, expected 0 to 1"},
      {"--temperature 1 --min-p 2", "min-p is 2"}};
  for (const auto& [options, message] : wrong) {
    const Outcome outcome = run("generate --request /no/such/request " + options + kModel);
    EXPECT_EQ(outcome.status, 1) << options;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
  for (const char* options : {"--temperature hot", "--top-k -3", "--top-k 1.5", "--seed -1"})
    EXPECT_EQ(run("generate --request r " + std::string(options) + kModel).status, 2) << options;
}

}  // namespace
