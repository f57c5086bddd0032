// What a model takes: the plan for the true sizes of the 12B, and the plan held against the meters.

#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/memory_plan.h"
#include "tests/engine/made_model.h"

namespace preflight::engine {
namespace {

/// The most memory that this process has had resident so far.
std::uint64_t peak_resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  ADD_FAILURE() << "/proc/self/status has no VmHWM";
  return 0;
}

/// A card that keeps everything on itself, with the widest prefill chunks of the table.
vk::DeviceDescription card() {
  vk::DeviceDescription device;
  device.name = "a card";
  device.vendor_id = 0x10de;
  device.subgroup_size = device.min_subgroup_size = device.max_subgroup_size = 32;
  device.max_workgroup_invocations = 1024;
  device.max_storage_buffers = 32;
  device.max_storage_buffer_range = (std::uint64_t{4} << 30) - 1;
  device.max_allocation_bytes = std::uint64_t{4} << 30;
  device.best_tier = vk::Tier::kBase;  // float32 inputs: the larger scratch
  device.budget_bytes = std::uint64_t{12} << 30;
  return device;
}

// First, since the peak of a process never falls.
TEST(Memory, LoadingTakesLittleBesideThePlan) {
  const MadeModel made({.shape = model::MadeShape::k12b, .n_layers = 2});
  const std::uint64_t before = peak_resident_bytes();
  EngineOptions options;
  options.model = made.path();
  options.context_tokens = 1024;
  options.max_sequences = 1;
  const auto loaded = Engine::load(options);
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  const Engine& engine = **loaded;
  const std::uint64_t planned = engine.memory_plan().total_bytes();

  // Rows are padded to whole groups, norms to the smallest allocation: next to nothing.
  EXPECT_LE(engine.peak_device_bytes(), planned + planned / 500);
  EXPECT_GE(engine.peak_device_bytes(), planned - planned / 500);
  EXPECT_LE(engine.reserved_device_bytes(), planned + (std::uint64_t{128} << 20));

  const std::uint64_t taken = peak_resident_bytes() - before;
  RecordProperty("resident_mb", static_cast<int>(taken / 1000000));
  RecordProperty("planned_mb", static_cast<int>(planned / 1000000));
  if (engine.device().software) {
    EXPECT_LE(taken, planned + 300'000'000);
  } else {
    EXPECT_LE(taken, 300'000'000u);  // the plan is the card's
  }
}

TEST(Memory, AllOfThe12bFitsWhatWasPromised) {
  const MadeModel made({.shape = model::MadeShape::k12b, .sparse = true});
  const auto file = model::ModelFile::open(made.path(), {});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  ASSERT_EQ(file->config().n_layers, 48u);
  struct Promise {
    std::uint32_t context_tokens;
    std::uint64_t bytes;
  };
  for (const Promise& promise : {Promise{8192, 7'900'000'000}, Promise{32768, 8'500'000'000},
                                 Promise{262144, 10'500'000'000}}) {
    EngineOptions options;
    options.context_tokens = promise.context_tokens;
    options.max_sequences = 1;
    options.max_bookmarks = 0;
    const auto plan = plan_load(*file, nullptr, card(), options);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_EQ(plan->arena.context_tokens, promise.context_tokens);
    EXPECT_LE(plan->memory.total_bytes(), promise.bytes) << promise.context_tokens;
    EXPECT_GT(plan->memory.total_bytes(), 7'000'000'000u);  // the weights are all there
    EXPECT_TRUE(check_budget(*plan, file->config(), card(), options).has_value());
  }
}

// 128 MiB is what a binding sees on lavapipe and on Adreno.
TEST(Memory, TheWholeContextIsSeenThroughSmallBindings) {
  const MadeModel made({.shape = model::MadeShape::k12b, .sparse = true});
  const auto file = model::ModelFile::open(made.path(), {});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  vk::DeviceDescription narrow = card();
  narrow.max_storage_buffer_range = 128 << 20;
  EngineOptions options;
  options.context_tokens = 262144;
  EXPECT_TRUE(plan_load(*file, nullptr, narrow, options).has_value());
  narrow.max_storage_buffer_range = 32 << 20;
  const auto refused = plan_load(*file, nullptr, narrow, options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
}

TEST(Memory, BookmarksArePlannedAndGoFirstWhereMemoryIsShort) {
  const MadeModel made({.shape = model::MadeShape::k12b, .sparse = true});
  const auto file = model::ModelFile::open(made.path(), {});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  const EngineOptions options;
  const auto two = plan_load(*file, nullptr, card(), options);
  ASSERT_TRUE(two.has_value()) << two.error().message;
  EXPECT_EQ(two->memory.max_bookmarks, 2u);
  // A window of 1,024 positions is 335.5 MB in 16 bits; the page it begins inside of, and the last
  // one of the full layers, come on top.
  EXPECT_GT(two->memory.bookmarks_bytes, 2 * 335'500'000u);
  EXPECT_LT(two->memory.bookmarks_bytes, 2 * 360'000'000u);
  vk::DeviceDescription small = card();
  for (std::uint32_t n = 0; n < 2; n++) {
    small.budget_bytes = two->memory.total_bytes() - two->memory.bookmarks_bytes +
                         n * (two->memory.bookmarks_bytes / 2);
    const auto fewer = plan_load(*file, nullptr, small, options);
    ASSERT_TRUE(fewer.has_value()) << fewer.error().message;
    EXPECT_EQ(fewer->memory.max_bookmarks, n);
    EXPECT_TRUE(check_budget(*fewer, file->config(), small, options).has_value());
  }
}

TEST(Memory, ARefusalNamesTheContextThatWouldFit) {
  const MadeModel made({.shape = model::MadeShape::k12b, .sparse = true});
  const auto file = model::ModelFile::open(made.path(), {});
  ASSERT_TRUE(file.has_value()) << file.error().message;
  vk::DeviceDescription small = card();
  small.budget_bytes = 8'000'000'000;
  EngineOptions options;
  options.context_tokens = 262144;
  options.max_sequences = 1;
  const auto plan = plan_load(*file, nullptr, small, options);
  ASSERT_TRUE(plan.has_value()) << plan.error().message;
  const auto refused = check_budget(*plan, file->config(), small, options);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, ErrorCode::kOutOfMemory);

  // The context that it names fits, and two pages more do not.
  const std::string& message = refused.error().message;
  const std::size_t at = message.find("a context of ");
  ASSERT_NE(at, std::string::npos) << message;
  const auto fits = static_cast<std::uint32_t>(std::stoul(message.substr(at + 13)));
  EXPECT_GT(fits, 1024u);
  const auto bytes_with = [&](std::uint32_t tokens) {
    options.context_tokens = tokens;
    return plan_load(*file, nullptr, small, options)->memory.total_bytes();
  };
  EXPECT_LE(bytes_with(fits), small.budget_bytes);
  EXPECT_GT(bytes_with(fits + 128), small.budget_bytes);
}

}  // namespace
}  // namespace preflight::engine
