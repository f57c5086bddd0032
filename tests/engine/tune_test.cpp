// Sizes measured on a device: kept, taken at the next start, passed over where they do not fit.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <unistd.h>

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/forward/tuning_file.h"
#include "tests/engine/made_model.h"

namespace preflight::engine {
namespace {

namespace fs = std::filesystem;

class TuneTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) /
           ("tune-" + std::to_string(::getpid()) + "-" +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(dir_);
    fs::create_directories(dir_);
    options_.model = made_.path();
    options_.device.cache_dir = dir_;
    options_.context_tokens = 128;
    options_.max_sequences = 1;
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::unique_ptr<Engine> load() {
    auto engine = Engine::load(options_);
    if (!engine) {
      ADD_FAILURE() << engine.error().message;
      std::abort();
    }
    return std::move(*engine);
  }

  /// The device's table value of a size, and another that it can run.
  struct Sizes {
    std::uint32_t table, other;
  };
  Sizes keep_another_norm_lanes() {
    const std::unique_ptr<Engine> engine = load();
    const std::uint32_t table = engine->tuning().norm_lanes;
    const Sizes sizes{.table = table, .other = table == 64 ? 32u : 64u};
    const std::vector<forward::TunedValue> values = {{"norm_lanes", sizes.other}};
    const auto file = forward::write_tuned(dir_, engine->device(), values);
    EXPECT_TRUE(file.has_value());
    file_ = *file;
    return sizes;
  }

  /// The size that a start takes, and what it says on stderr.
  std::pair<std::uint32_t, std::string> start() {
    testing::internal::CaptureStderr();
    const std::uint32_t taken = load()->tuning().norm_lanes;
    return {taken, testing::internal::GetCapturedStderr()};
  }

  static std::string content(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static void put(const fs::path& file, const std::string& bytes) {
    std::ofstream out(file, std::ios::binary | std::ios::trunc);
    out << bytes;
    ASSERT_TRUE(out.good());
  }

  // Ids counted through in strides of 7919 meet a placeholder of this vocabulary within 64 tokens.
  const MadeModel made_{{.n_layers = 2, .vocab_size = 1023}};
  EngineOptions options_;
  fs::path dir_, file_;
};

TEST_F(TuneTest, MeasuresAndKeepsWhatTheNextStartTakes) {
  std::vector<TuneTrial> trials;
  const auto result = tune(options_, [&](const TuneTrial& trial) { trials.push_back(trial); });
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_TRUE(fs::is_regular_file(result->file));
  ASSERT_GT(trials.size(), 4u);
  EXPECT_EQ(trials.front().field, "");
  for (const TuneTrial& trial : trials) {
    EXPECT_GT(trial.times.prefill_ms, 0.0);
    EXPECT_GT(trial.times.step_ms, 0.0);
  }

  // What was kept had won, a start takes it, and the table's where none won.
  const std::unique_ptr<Engine> engine = load();
  for (const forward::TuningField& field : forward::tuning_fields()) {
    std::uint32_t expected = forward::tuning_for(engine->device()).*field.member;
    for (const forward::TunedValue& value : result->values) {
      if (value.field != field.name) continue;
      expected = value.value;
      EXPECT_TRUE(std::any_of(trials.begin(), trials.end(), [&](const TuneTrial& trial) {
        return trial.taken && trial.field == field.name && trial.value == expected;
      })) << field.name;
    }
    EXPECT_EQ(engine->tuning().*field.member, expected) << field.name;
  }
}

TEST_F(TuneTest, AStartTakesWhatWasKept) {
  const Sizes sizes = keep_another_norm_lanes();
  EXPECT_EQ(start(), std::pair(sizes.other, std::string()));
  const std::string line = std::string(PREFLIGHT_BIN "/preflight-run devices --verbose --cache ") +
                           dir_.string() + " | grep norm_lanes";
  std::FILE* const pipe = popen(line.c_str(), "r");
  ASSERT_NE(pipe, nullptr);
  char text[256] = {};
  EXPECT_NE(std::fgets(text, sizeof text, pipe), nullptr);
  EXPECT_EQ(pclose(pipe), 0);
  EXPECT_NE(std::string(text).find("tuned"), std::string::npos) << text;
}

TEST_F(TuneTest, AFileThatDoesNotFitIsPassedOverWithOneLine) {
  const Sizes sizes = keep_another_norm_lanes();
  const std::string good = content(file_);
  std::string damaged = good;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  std::string foreign = good;
  foreign[30] = static_cast<char>(foreign[30] ^ 1);  // within the key
  for (const std::string& bad :
       {damaged, foreign, good.substr(0, good.size() / 2), std::string()}) {
    put(file_, bad);
    const auto [taken, said] = start();
    EXPECT_EQ(taken, sizes.table);
    EXPECT_NE(said.find(file_.string()), std::string::npos) << said;
    EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  }
  put(file_, good);
  EXPECT_EQ(start().first, sizes.other);
}

}  // namespace
}  // namespace preflight::engine
