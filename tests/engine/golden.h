#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/engine.h"
#include "engine/forward/dot_products.h"
#include "engine/forward/tuning.h"
#include "engine/forward/wide_products.h"
#include "engine/model/safetensors_file.h"

/// Expected values and engines of the golden models (tests/data/golden).
namespace preflight::engine {

inline std::filesystem::path golden() {
  return std::filesystem::path(PREFLIGHT_TEST_DATA) / "golden";
}

/// The values of one tensor of a safetensors file.
template <class T>
std::vector<T> read_tensor(const std::filesystem::path& path, const std::string& name) {
  const auto file = model::SafetensorsFile::open(path);
  EXPECT_TRUE(file.has_value()) << file.error().message;
  if (!file) return {};
  const model::SafeTensor* tensor = file->find(name);
  EXPECT_NE(tensor, nullptr) << path << " has no " << name;
  if (tensor == nullptr) return {};
  std::vector<T> values(tensor->bytes.size() / sizeof(T));
  std::memcpy(values.data(), tensor->bytes.data(), values.size() * sizeof(T));
  return values;
}

/// What a run must be: the tier and pages, and how far its logits may lie from float32.
struct NumericClass {
  const char* name;
  vk::Tier tier;
  KvFormat kv;
  double max_abs, mean_abs, mean_kl;
  bool card_kernels = false;  ///< what graphics cards run, on whatever device there is
};

// Ten times (f32) and three times (others) the error that the reference itself shows with these
// precisions, measured over all cases.
inline constexpr NumericClass kF32Class = {"f32", vk::Tier::kBase, KvFormat::kF32, 0.01, 5e-4,
                                           1e-5};
inline constexpr NumericClass kKv16Class = {"kv16", vk::Tier::kBase, KvFormat::kF16,
                                            0.2,    0.012,           3e-4};
inline constexpr NumericClass kAct16Class = {"act16", vk::Tier::kF16, KvFormat::kF16,
                                             0.5,     0.035,          3e-3};
/// Float16 weights beside float16 inputs, in the same bounds.
inline constexpr NumericClass kCoopmatClass = {
    "coopmat", vk::Tier::kCoopmat, KvFormat::kF16, 0.5, 0.035, 3e-3};
/// 8-bit blocks of activations in prefill.
inline constexpr NumericClass kAct8Class = {"act8", vk::Tier::kDot, KvFormat::kF16, 8, 0.6, 0.15};

/// Whether the device that is taken has the class's kernels. Mesa's CPU driver has cooperative
/// matrices from version 26 on (docs/testing.md, by hand).
inline bool can_run(const NumericClass& numbers) {
  if (numbers.tier < vk::Tier::kDot) return true;
  const auto devices = vk::list_devices({});
  if (!devices) return false;
  return std::ranges::any_of(*devices, [&](const vk::DeviceDescription& device) {
    if (numbers.tier == vk::Tier::kDot) return device.chosen && forward::can_run_dot(device);
    return device.chosen && forward::coopmat_tile(device, forward::tuning_for(device)).has_value();
  });
}

/// The same on the kernels of graphics cards.
inline NumericClass on_card_kernels(NumericClass numbers, const char* name) {
  numbers.name = name;
  numbers.card_kernels = true;
  return numbers;
}
inline const NumericClass kCardF32Class = on_card_kernels(kF32Class, "card_f32");
inline const NumericClass kCardAct16Class = on_card_kernels(kAct16Class, "card_act16");

inline std::unique_ptr<Engine> load_golden(const std::string& model, const NumericClass& numbers,
                                           const std::string& mmproj = "",
                                           std::uint32_t max_sequences = 12,
                                           std::uint32_t context_tokens = 4096) {
  EngineOptions options;
  options.model = golden() / model;
  if (!mmproj.empty()) options.mmproj = golden() / mmproj;
  options.tier = numbers.tier;
  options.kv = numbers.kv;
  options.context_tokens = context_tokens;
  options.max_sequences = max_sequences;
  if (numbers.card_kernels)
    options.tuned = {{.field = "attention_queries", .value = 16},
                     {.field = "prefill_tiles", .value = 2},
                     {.field = "narrow_threads", .value = 32}};
  auto engine = Engine::load(options);
  EXPECT_TRUE(engine.has_value()) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}

using Engines = std::map<std::string, std::unique_ptr<Engine>>;

/// Engines that are kept for the whole program: loading costs more than a case.
inline Engines& engines() {
  static Engines all;
  return all;
}

/// They must go before the Vulkan loader does, which is before static objects are destroyed.
class EnginesEnd : public testing::Environment {
 public:
  void TearDown() override { engines().clear(); }
};
inline const testing::Environment* const kEnginesEnd =
    testing::AddGlobalTestEnvironment(new EnginesEnd);  // gtest deletes it

}  // namespace preflight::engine
