#include "client/report.h"

#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "client/terminal_text.h"

namespace preflight::client {
namespace {

using nlohmann::json;

std::string text_of(const std::string& name) {
  std::ifstream in(std::string(PREFLIGHT_TEST_DATA "/client/") + name, std::ios::binary);
  EXPECT_TRUE(in) << name;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

json sample() { return json::parse(text_of("report.json"), nullptr, false); }

TEST(Report, BecomesTheStoredTable) {
  ASSERT_TRUE(check_report(sample()).has_value());
  EXPECT_EQ(table_of(sample(), /*colours=*/false), text_of("table.txt"));
}

TEST(Report, BecomesTheStoredCsv) { EXPECT_EQ(csv_of(sample()), text_of("report.csv")); }

TEST(Report, TableStaysWithinEightyColumns) {
  std::istringstream lines(table_of(sample(), /*colours=*/false));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(display_width(line), 80u) << line;
}

TEST(Report, ColourIsOnlyAddedToTheWords) {
  std::string coloured = table_of(sample(), /*colours=*/true);
  EXPECT_NE(coloured.find("\x1b[31mfail\x1b[0m"), std::string::npos);
  for (const char* code : {"\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m", "\x1b[0m"}) {
    for (std::size_t at; (at = coloured.find(code)) != std::string::npos;) {
      coloured.erase(at, std::string(code).size());
    }
  }
  EXPECT_EQ(coloured, table_of(sample(), /*colours=*/false));
}

TEST(Report, ExitFollowsTheWorstRowAtOrAboveTheThreshold) {
  json report = sample();
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kFail);
  EXPECT_EQ(exit_of(report, Severity::kBlocker), Exit::kFail);
  report["rows"].erase(2);  // the blocker; a major row and a major measured row are left
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kFail);
  EXPECT_EQ(exit_of(report, Severity::kBlocker), Exit::kUndecided);
  report["rows"].erase(2);
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kFail) << "the measured row counts too";
  report["facts"].erase(2);
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kUndecided);
  report["rows"] = json::array({sample()["rows"][1]});
  report["facts"] = json::array({sample()["facts"][0], sample()["facts"][3]});
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kPass);
  report["rows"] = json::array({sample()["rows"][4]});
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kUndecided);
  report["run"]["facts_only"] = true;
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kPass) << "only measured rows were asked for";
}

TEST(Report, RefusesWhatIsNoReport) {
  for (const char* text :
       {"null", "[]", "{}", R"({"schema":"preflight.report/2","rows":[],"facts":[]})",
        R"({"schema":"preflight.report/1","rows":{},"facts":[]})",
        R"({"schema":"preflight.report/1","rows":[1],"facts":[]})",
        R"({"schema":"preflight.report/1","rows":[]})"}) {
    EXPECT_FALSE(check_report(json::parse(text, nullptr, false)).has_value()) << text;
  }
}

TEST(Report, FieldsOfWrongTypesAreShownAsAbsent) {
  const json report = json::parse(
      R"({"schema":"preflight.report/1","bundle":7,"rows":[{"check":1,"verdict":[],"severity":2,
          "confidence":"x","findings":[3,{"evidence":[4,{"t0":"x"}]}],"human_owns":null}],
          "facts":[{"result":5,"evidence":[null]}],"run":[]})",
      nullptr, false);
  ASSERT_TRUE(check_report(report).has_value());
  EXPECT_FALSE(table_of(report, false).empty());
  EXPECT_FALSE(csv_of(report).empty());
  EXPECT_FALSE(model_took_part(report));
  EXPECT_EQ(exit_of(report, Severity::kMajor), Exit::kUndecided);
}

}  // namespace
}  // namespace preflight::client
