#include "daemon/settings.h"

#include <map>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/daemon/temporary_folder.h"

namespace preflight::daemon {
namespace {

std::string refusal(const std::string& text) {
  Settings settings;
  const Result<void> result = read_settings(text, "p.toml", settings);
  return result ? "" : result.error().message;
}

TEST(Settings, TheExampleHasEverySettingAtItsDefault) {
  Settings defaults = default_settings("/usr/bin/preflightd");
  const std::string text = read_file(std::string(PREFLIGHT_SOURCE) + "/share/preflight.toml");
  Settings read;
  const Result<void> result = read_settings(text, "share/preflight.toml", read);
  ASSERT_TRUE(result) << result.error().message;
  const auto expected = describe_settings(defaults), got = describe_settings(read);
  ASSERT_EQ(expected.size(), got.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(got[i].default_value, expected[i].default_value) << expected[i].key;
    const std::string name = expected[i].key.substr(expected[i].key.find('.') + 1);
    EXPECT_NE(text.find(fmt::format("\n{} = ", name)), std::string::npos) << expected[i].key;
  }
}

TEST(Settings, ReadsUnits) {
  Settings settings;
  ASSERT_TRUE(
      read_settings("[bundle]\nmax_mib = 2\n[http]\nidle_deadline_s = 0.5\n"
                    "[results]\nkeep_days = 7\n[decoder]\ntimeout_s = 3\n",
                    "p.toml", settings));
  EXPECT_EQ(settings.bundle.max_bytes, 2u << 20);
  EXPECT_EQ(settings.http.idle_deadline, std::chrono::milliseconds(500));
  EXPECT_EQ(settings.keep_days, 7u);
  EXPECT_EQ(settings.reviewer.decode_timeout_s, 3.0);
}

TEST(Settings, RefusesByLineWithTheNearestName) {
  EXPECT_EQ(refusal("[queue]\n\nmax_reviws = 3\n"),
            "p.toml:3: queue.max_reviws is no setting; did you mean queue.max_reviews?");
  EXPECT_EQ(refusal("[queue]\nmax_reviews = \"3\"\n"),
            "p.toml:2: queue.max_reviews is a string, expected a whole number");
  EXPECT_EQ(refusal("[queue]\nmax_reviews = 0\n"),
            "p.toml:2: queue.max_reviews is 0, expected 1 to 100000");
  EXPECT_EQ(refusal("[device]\ntier = \"f32\"\n"),
            "p.toml:2: device.tier is \"f32\", expected one of \"auto\", \"base\", \"f16\", "
            "\"dot\", \"coopmat\"");
  EXPECT_EQ(refusal("[state]\ndir = \"var\"\n"),
            "p.toml:2: state.dir is \"var\", expected an absolute path");
  EXPECT_EQ(refusal("[http]\nidle_deadline_s = inf\n"),
            "p.toml:2: http.idle_deadline_s is inf, expected 0.1 to 600 seconds");
  EXPECT_NE(refusal("[http]\nidle_deadline_s = nan\n"), "");
  EXPECT_NE(refusal("queue = 3\n"), "");
  EXPECT_NE(refusal("[[queue]]\nmax_reviews = 1\n"), "");
  EXPECT_NE(refusal("[queue.more]\nmax_reviews = 1\n"), "");
  EXPECT_EQ(refusal("[queue\n").substr(0, 9), "p.toml:1:");
}

TEST(Settings, NamesAllProblemsAtOnce) {
  const std::string text = refusal("[queue]\nmax_reviews = true\n[state]\ndirr = \"/x\"\n");
  EXPECT_NE(text.find("p.toml:2:"), std::string::npos);
  EXPECT_NE(text.find("p.toml:4:"), std::string::npos);
}

TEST(Settings, EveryNumberTakesItsWholeRange) {
  for (const SettingDescription& setting : describe_settings(Settings{})) {
    const std::size_t dot = setting.key.find('.');
    const std::string text = fmt::format("[{}]\n{} = 99999999999999\n", setting.key.substr(0, dot),
                                         setting.key.substr(dot + 1));
    EXPECT_NE(refusal(text), "") << setting.key;
  }
}

}  // namespace
}  // namespace preflight::daemon
