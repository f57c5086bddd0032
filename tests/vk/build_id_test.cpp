#include "vk/build_id.h"

#include <array>
#include <cstdint>

#include <gtest/gtest.h>

namespace preflight::vk {
namespace {

// Caches of pipelines and a review's stored passes are told from those of other builds by it.
TEST(BuildIdTest, EveryProgramOfTheProjectCarriesOne) {
  EXPECT_NE(build_id(), (std::array<std::uint8_t, 20>{}));
}

}  // namespace
}  // namespace preflight::vk
